// Opens the example page in headless Chromium, reviews its proposals as a person would, and prints
// what the page said, as one JSON line. Usage: node browser_review.mjs FOLDER QUERY CHROMIUM PROFILE
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import path from 'node:path'
import { chromium } from 'playwright-core'

const [folder, query, executablePath, profile] = process.argv.slice(2)
const kinds = { '.html': 'text/html', '.js': 'text/javascript' }
const files = createServer((request, response) => {
  const name = new URL(request.url, 'http://page').pathname
  try {
    const body = readFileSync(path.join(folder, name))
    response.writeHead(200, { 'Content-Type': kinds[path.extname(name)] ?? 'text/plain' })
    response.end(body)
  } catch {
    response.writeHead(404).end()
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
const tab = await browser.newPage()
tab.on('console', (message) => {
  if (['error', 'warning'].includes(message.type())) errors.push(message.text())
})
tab.on('pageerror', (error) => errors.push(String(error)))
// When the last event post ended; 0 while one is under way.
let quiet_since = 0
const isPost = (request) => request.method() === 'POST' && request.url().includes('/e/')
tab.on('request', (request) => isPost(request) && (quiet_since = 0))
tab.on('requestfinished', (request) => isPost(request) && (quiet_since = Date.now()))
await tab.goto(`http://127.0.0.1:${files.address().port}/index.html?${query}`)
await tab.getByRole('button', { name: 'Keep' }).first().click()
await tab.getByRole('button', { name: 'Revert' }).last().click()
const said = await tab.locator('[aria-live]').textContent()
// The page posts every 250 ms what there is.
const clicked = Date.now()
const deadline = clicked + 15000
while (quiet_since < clicked || Date.now() - quiet_since < 1000) {
  if (Date.now() > deadline) throw new Error('the page has not posted its events in 15 s')
  await new Promise((later) => setTimeout(later, 20))
}
await browser.close()
files.close()
console.log(JSON.stringify({ errors, said }))
