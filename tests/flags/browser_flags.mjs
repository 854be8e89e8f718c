// Reads flags with the unmodified posthog-js in headless Chromium; prints one JSON line.
// Usage: node browser_flags.mjs MODULES HOST API_KEY CHROMIUM PROFILE_FOLDER DISTINCT_ID
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'

const [modules, host, apiKey, executablePath, profile, distinctId] = process.argv.slice(2)
const require = createRequire(`${modules}/`)
const { chromium } = require('playwright-core')
const dist = path.join(path.dirname(require.resolve('posthog-js/package.json')), 'dist')
const options = { api_host: host, opt_out_useragent_filter: true, bootstrap: { distinctID: distinctId, isIdentifiedID: true } }
const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script src="/array.js"></script>
<script>posthog.init(${JSON.stringify(apiKey)}, { ...${JSON.stringify(options)}, loaded: (client) => { window.client = client } })</script>`
const files = createServer((request, response) => {
  const script = request.url === '/array.js'
  response.writeHead(200, { 'Content-Type': script ? 'text/javascript' : 'text/html' })
  response.end(script ? readFileSync(path.join(dist, 'array.js')) : page)
})
await new Promise((ready) => files.listen(0, '127.0.0.1', ready))
const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync'],
})
const tab = await browser.newPage()
await tab.goto(`http://127.0.0.1:${files.address().port}/`)
await tab.waitForFunction(() => window.client)
const saw = await tab.evaluate(
  () =>
    new Promise((done) =>
      window.client.onFeatureFlags((names) => {
        const payload = window.client.getFeatureFlagResult('scorer_v2')?.payload ?? null
        const variant = window.client.getFeatureFlag('scorer_v2')
        window.client.capture('with_flags', {}, { send_instantly: true })
        setTimeout(() => done({ names, variant, payload }), 0)
      }),
    ),
)
await tab.goto('about:blank') // what is queued leaves with the page
await browser.close()
files.close()
console.log(JSON.stringify(saw))
