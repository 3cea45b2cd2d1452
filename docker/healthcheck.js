// What the container's HEALTHCHECK runs: exit 0 where the hub answers.
const port = process.env.PORT || '3000'

try {
  const response = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(2500) })
  process.exitCode = response.ok ? 0 : 1
} catch (error) {
  console.error(`no hub on port ${port}: ${error.cause?.message ?? error.message}`)
  process.exitCode = 1
}
