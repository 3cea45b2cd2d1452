/** Whoever has an IPv6 address has at least a /64 of them. */
export function networkOf(address: string): string {
  return address.includes(':') ? firstGroups(address.replace(/%.*$/, '')) : address
}

function firstGroups(address: string): string {
  const [head = '', tail] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  if (tail === undefined) return before.slice(0, 4).join(':')
  const after = tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0')
  return [...before, ...zeros, ...after].slice(0, 4).join(':')
}
