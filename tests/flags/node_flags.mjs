// Reads flags with the unmodified posthog-node, asked for and evaluated in the process.
// Usage: node node_flags.mjs MODULES HOST API_KEY PERSONAL_API_KEY; prints one JSON line.
import { createRequire } from 'node:module'

const [modules, host, apiKey, personalApiKey] = process.argv.slice(2)
const { PostHog } = createRequire(`${modules}/`)('posthog-node')
const ids = Array.from({ length: 20 }, (_, n) => `gtm:internal:coder${n}`)

const remote = new PostHog(apiKey, { host, flushAt: 1, flushInterval: 20 })
const answer = { remote: {}, local: {}, payloads: {} }
for (const id of ids) {
  const flags = await remote.evaluateFlags(id)
  answer.remote[id] = flags.getFlag('scorer_v2') ?? null
  answer.payloads[id] = flags.getFlagPayload('scorer_v2') ?? null
}
await remote.shutdown()

const local = new PostHog(apiKey, { host, personalApiKey, flushAt: 1, flushInterval: 20 })
await local.reloadFeatureFlags()
for (const id of ids) {
  const flags = await local.evaluateFlags(id, { onlyEvaluateLocally: true })
  answer.local[id] = flags.getFlag('scorer_v2') ?? null
}
await local.shutdown()
console.log(JSON.stringify(answer))
