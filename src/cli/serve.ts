import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import { Command, Option } from 'commander'
import { type Config, ConfigError, readConfig, SETTINGS, unknownSettings } from '../config.ts'
import { createHub, type Hub } from '../hub.ts'
import { createLogger, type HubLogger } from '../logger.ts'
import { lanAddresses } from './lan.ts'

/** sysexits.h: the configuration is wrong. */
const EXIT_CONFIG = 78
const EXIT_FAILURE = 1

/** Longer than the grace period for requests, so that the hub ends them in order before the process is cut off. */
const CLOSE_MARGIN_MS = 5000

/** Every setting is a flag; commander only collects them, `readConfig` reads and checks them. */
export function serveCommand(): Command {
  const command = new Command('serve').description('Start the hub')
  for (const { flag, env, description, default: fallback, shownDefault = String(fallback) } of Object.values(
    SETTINGS,
  )) {
    const shown = shownDefault === '' ? '' : `, default: ${shownDefault}`
    // A switch may stand alone: `--tls` is `--tls true`.
    const value = typeof fallback === 'boolean' ? '[value]' : '<value>'
    command.addOption(new Option(`--${flag} ${value}`, `${description} (env: ${env}${shown})`))
  }
  return command.action(async () => serve(flagsOf(command)))
}

/** By flag name, as `readConfig` wants them. */
function flagsOf(command: Command): Record<string, string> {
  const given = command.options.map((option) => [option.long?.slice(2), command.getOptionValue(option.attributeName())])
  return Object.fromEntries(
    given.filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]),
  )
}

async function serve(flags: Record<string, string>): Promise<void> {
  const config = settle(flags)
  if (config === undefined) return
  const log = await createLogger(config)
  for (const name of unknownSettings(process.env)) log.logger.warn(`${name} is no setting of the hub: is it misspelt?`)
  const hub = createHub({ ...config, logger: log.logger })
  try {
    await hub.listen()
  } catch (error) {
    if (error instanceof ConfigError) fail(error.message, EXIT_CONFIG)
    else fail(explain(error as NodeJS.ErrnoException, config), EXIT_FAILURE)
    await hub.close()
    return
  }
  // As V8 has it by itself: the launcher has kept it from growing while the hub started.
  setFlagsFromString('--semi-space-growth-factor=2')
  closeOnSignal(hub, log)
  greet(hub, log)
}

function settle(flags: Record<string, string>): Config | undefined {
  try {
    return readConfig({ flags, env: process.env })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    fail(error.message, EXIT_CONFIG)
    return undefined
  }
}

function fail(message: string, exitCode: number): void {
  process.stderr.write(`potluck: ${message}\n`)
  process.exitCode = exitCode
}

function explain(error: NodeJS.ErrnoException, { host, port }: Config): string {
  if (error.code === 'EADDRINUSE') return `port ${port} is taken: stop what uses it, or set PORT to another`
  if (error.code === 'EACCES') return `port ${port} needs more rights: set PORT to one above 1023`
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') return `HOST ${host} is no address of this machine`
  return `the hub could not start: ${error.message}`
}

/** The first signal drains, the second ends the process at once. */
function closeOnSignal(hub: Hub, { logger, flush }: HubLogger): void {
  closeWithGrace({ delay: hub.config.graceMs + CLOSE_MARGIN_MS, logger: false }, async ({ signal, err }) => {
    if (err !== undefined) logger.fatal({ err }, 'the hub failed and shuts down')
    else
      logger.info(
        { signal },
        `shutting down: what runs has ${hub.config.graceMs / 1000} s to finish, a second signal ends it at once`,
      )
    try {
      await hub.close()
    } catch (error) {
      logger.error({ err: error }, 'the hub could not shut down properly')
      throw error
    } finally {
      flush()
    }
  })
}

function greet(hub: Hub, { logger, flush }: HubLogger): void {
  logger.info(
    { url: hub.url, lan: lanUrls(hub) },
    `the hub listens at ${[hub.url, ...lanUrls(hub)].join(', ')}; ${hub.url}/docs explains its API`,
  )
  if (hub.fingerprint !== undefined) {
    logger.info({ fingerprint: hub.fingerprint }, `the certificate's SHA-256 fingerprint is ${hub.fingerprint}`)
  }
  flush()
}

/** What other machines on the LAN type. */
function lanUrls(hub: Hub): string[] {
  if (hub.config.host !== '0.0.0.0' && hub.config.host !== '::') return []
  const { port, protocol } = new URL(hub.url)
  return lanAddresses().map((address) => `${protocol}//${address}:${port}`)
}
