// Token Machine's three events, sent with the plain posthog-node.
//
//   npm install
//   POSTHOG_HOST=… POSTHOG_API_KEY=phc_… node emitter.mjs
//
// A loop that starts this program inside a round hands it BAGGAGE (round.environ() in Python): the
// request then carries that round's id, and a query joins the two.
import { PostHog } from 'posthog-node'

const { POSTHOG_HOST: host, POSTHOG_API_KEY: apiKey, BAGGAGE: baggage = '' } = process.env
const client = new PostHog(apiKey, { host, flushAt: 20, flushInterval: 1000 })
client.on('error', (error) => {
  console.error(String(error))
  process.exitCode = 1
})

const here = Object.fromEntries(
  baggage.split(',').map((member) => {
    const [key, value = ''] = member.trim().split('=')
    return [key.replace(/^nightpane\./, ''), decodeURIComponent(value.split(';')[0])]
  })
)
const round = here.round_id
  ? { project: here.project, client: here.client, run_id: here.run_id, round_id: here.round_id, $ai_trace_id: here.round_id }
  : {}

const user = 'gtm-autoresearch:internal:critic'
client.capture({
  distinctId: user,
  event: 'token_machine.request',
  properties: {
    ...round,
    user_id: user,
    task_type: 'gtm.rewrite',
    model_used: 'gpt-4o-mini',
    input_tokens: 1200,
    output_tokens: 300,
    cost_usd: 0.00036,
    quality_score: 0.82,
    efficiency_grade: 'A',
    latency_ms: 640,
    request_id: 'tm-1',
  },
})
client.capture({
  distinctId: 'token-machine',
  event: 'token_machine.team_summary',
  properties: {
    total_requests: 1,
    total_cost: 0.00036,
    avg_quality: 0.82,
    worst_performer: user,
    best_performer: user,
    escalation_candidates: ['gtm.rewrite'],
  },
})
client.capture({
  distinctId: user,
  event: 'token_machine.anomaly',
  properties: {
    type: 'wrong_model',
    user_id: user,
    task_type: 'gtm.rewrite',
    recommendation: 'route gtm.rewrite to a larger model',
  },
})
await client.shutdown()
