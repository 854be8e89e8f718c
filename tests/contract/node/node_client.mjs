// Sends events with the unmodified posthog-node and prints what it saw, as one JSON line.
// Usage: node node_client.mjs HOST API_KEY PERSONAL_API_KEY
import { PostHog } from 'posthog-node'

const [host, apiKey, personalApiKey] = process.argv.slice(2)
const errors = []
const log = console.error
console.error = (...parts) => errors.push(parts.map(String).join(' '))
console.warn = (...parts) => errors.push(parts.map(String).join(' '))

const client = new PostHog(apiKey, { host, personalApiKey, flushAt: 2, flushInterval: 50 })
client.on('error', (error) => errors.push(String(error)))

for (let number = 0; number < 5; number++) {
  client.capture({
    distinctId: 'gtm-autoresearch:internal:critic',
    event: 'round_scored',
    properties: { score: number / 4, text: 'ü 😀', nested: { list: [1, null, 'x'] }, nothing: null },
  })
}
await client.captureImmediate({ distinctId: 'node:internal:now', event: 'immediate' })
client.captureAi({
  distinctId: 'gtm-autoresearch:internal:critic',
  event: '$ai_generation',
  properties: { $ai_trace_id: 'trace-node', $ai_model: 'm', $ai_input: [{ role: 'user', content: 'hi' }] },
})
client.identify({ distinctId: 'node:internal:known', properties: { plan: 'local' } })
const snapshot = await client.evaluateFlags('gtm-autoresearch:internal:critic')
const flag = snapshot.getFlag('no-such-flag')
const flags = await client.getAllFlags('gtm-autoresearch:internal:critic')
await client.shutdown()
console.log(JSON.stringify({ errors, flags, flag: flag ?? null }))
if (errors.length) log(errors.join('\n'))
