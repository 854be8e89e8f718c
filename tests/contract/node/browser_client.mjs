// Opens a page with the unmodified posthog-js in headless Chromium and prints what it saw, as one
// JSON line. Page and library are served from loopback; nothing else is reached.
// Usage: node browser_client.mjs HOST API_KEY CHROMIUM PROFILE_FOLDER
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'
import { chromium } from 'playwright-core'

const [host, apiKey, executablePath, profile] = process.argv.slice(2)
const require = createRequire(import.meta.url)
const dist = path.join(path.dirname(require.resolve('posthog-js/package.json')), 'dist')
const page = `<!doctype html><meta charset="utf-8"><title>client</title><link rel="icon" href="data:,">
<script src="/array.js"></script>
<script>
posthog.init(${JSON.stringify(apiKey)}, {
  api_host: ${JSON.stringify(host)}, person_profiles: 'always', capture_pageview: true,
  opt_out_useragent_filter: true, // a headless browser counts as a bot otherwise
  loaded: function (client) { window.client = client }
})
</script>`

const files = createServer((request, response) => {
  if (request.url === '/array.js') {
    response.writeHead(200, { 'Content-Type': 'text/javascript' })
    response.end(readFileSync(path.join(dist, 'array.js')))
  } else {
    response.writeHead(200, { 'Content-Type': 'text/html' })
    response.end(page)
  }
})
await new Promise((ready) => files.listen(0, '127.0.0.1', ready))

const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
})
const errors = []
const answers = []
const tab = await browser.newPage()
tab.on('console', (message) => {
  if (['error', 'warning'].includes(message.type())) errors.push(message.text())
})
tab.on('pageerror', (error) => errors.push(String(error)))
tab.on('requestfailed', (request) => errors.push(`${request.url()} ${request.failure()?.errorText}`))
tab.on('response', (response) => {
  if (response.url().startsWith(host)) {
    answers.push([new URL(response.url()).pathname, response.status()])
  }
})
await tab.goto(`http://127.0.0.1:${files.address().port}/`)
await tab.waitForFunction(() => window.client)
const flags = await tab.evaluate(
  () => new Promise((done) => window.client.onFeatureFlags((names) => done(names))),
)
await tab.evaluate(() => {
  window.client.identify('browser:internal:person', { plan: 'page' })
  for (let number = 0; number < 4; number++) {
    window.client.capture('browser_event', { number, text: 'ü 😀', nested: { a: [1, null] } })
  }
  window.client.capture('now_event', {}, { send_instantly: true })
})
const posted = () => answers.filter(([path]) => /^\/(e|i\/v0\/e)\/?$/.test(path)).length
for (const deadline = Date.now() + 15000; posted() < 3 && Date.now() < deadline; ) {
  await new Promise((later) => setTimeout(later, 50))
}
// The last event leaves with the page itself, by sendBeacon.
await tab.evaluate(() => window.client.capture('leaving_event', { by: 'beacon' }))
await tab.goto('about:blank')
await browser.close()
files.close()
console.log(JSON.stringify({ errors, flags, answers }))
