// What the container's HEALTHCHECK runs: exit 0 where the hub answers.
import http from 'node:http'
import https from 'node:https'

const { PORT = '3000', POTLUCK_TLS, POTLUCK_TLS_CERT } = process.env
const isSecure = POTLUCK_TLS === 'true' || Boolean(POTLUCK_TLS_CERT)
const TIMEOUT_MS = 2500

// To itself, on the loopback: its certificate is for the name that others call it by.
const options = {
  host: '127.0.0.1',
  port: PORT || '3000',
  path: '/health',
  timeout: TIMEOUT_MS,
  rejectUnauthorized: false,
}
const request = (isSecure ? https : http).get(options, (response) => {
  response.resume()
  process.exitCode = response.statusCode === 200 ? 0 : 1
})
request.on('timeout', () => request.destroy(new Error('no answer in time')))
request.on('error', (error) => {
  console.error(`no hub on port ${options.port}: ${error.message}`)
  process.exitCode = 1
})
