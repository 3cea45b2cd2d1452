import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

type Interfaces = Readonly<Record<string, NetworkInterfaceInfo[] | undefined>>

/** Between containers and virtual machines of this one; nobody else gets there. */
const VIRTUAL = /^(docker|br-|veth|virbr|vboxnet|vmnet|cni|podman|lxc|bridge\d)/

/** IPv4 addresses of this machine that others on the LAN may reach it by, the likeliest first. */
export function lanAddresses(interfaces: Interfaces = networkInterfaces()): string[] {
  const named = Object.entries(interfaces).flatMap(([name, all = []]) => all.map((each) => ({ name, ...each })))
  const outside = named.filter(({ internal, family }) => !internal && family === 'IPv4')
  const [real, virtual] = [false, true].map((isVirtual) =>
    outside.filter(({ name }) => VIRTUAL.test(name) === isVirtual),
  )
  return [...(real ?? []), ...(virtual ?? [])].map(({ address }) => address)
}

/** What other machines type for a hub that is known here by that URL; undefined where they can't reach it. */
export function hubFromLan(url: string, interfaces?: Interfaces): string | undefined {
  const { hostname, origin } = new URL(url)
  if (!/^(localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\])$/.test(hostname)) return url
  const [address] = lanAddresses(interfaces)
  return address === undefined ? undefined : url.replace(origin, () => origin.replace(hostname, () => address))
}
