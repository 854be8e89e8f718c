// A research loop in Node: it climbs a hill and tracks every round, step, evaluation and model call.
//
//   eval "$(nightpane env)"; AUTORESEARCH_PROJECT=autoresearch npm start

import { PostHog } from 'posthog-node'

import { newUlid, track, type EventName, type EventProperties, type Place } from './nightpane.js'

const ROUNDS = 3
const { POSTHOG_API_KEY = '', POSTHOG_HOST = '', AUTORESEARCH_PROJECT, AUTORESEARCH_CLIENT } =
  process.env
if (!POSTHOG_API_KEY || !POSTHOG_HOST || !AUTORESEARCH_PROJECT) {
  console.error('set POSTHOG_API_KEY, POSTHOG_HOST and AUTORESEARCH_PROJECT')
  process.exit(2)
}
const posthog = new PostHog(POSTHOG_API_KEY, { host: POSTHOG_HOST })
posthog.on('error', (error: unknown) => console.error('PostHog:', error))

const night: Place = {
  project: AUTORESEARCH_PROJECT,
  client: AUTORESEARCH_CLIENT ?? 'internal',
  agent: 'orchestrator',
  runId: newUlid(),
}

function emit<E extends EventName>(place: Place, event: E, properties: EventProperties[E]): void {
  track(posthog, place, event, properties)
}

/** Returns what a tool returns, tracking the call and its return; an error passes on. */
async function tool<T>(round: Place, name: string, args: object, call: () => Promise<T>): Promise<T> {
  const step_id = newUlid()
  const began = performance.now()
  const latency_ms = () => Math.round(performance.now() - began)
  emit(round, 'step.tool_called', { step_id, tool: name, args_json: JSON.stringify(args) })
  try {
    const result = await call()
    const result_json = JSON.stringify(result)
    const result_bytes = Buffer.byteLength(result_json)
    emit(round, 'step.tool_returned', {
      step_id, tool: name, ok: true, latency_ms: latency_ms(), result_json, result_bytes,
    })
    return result
  } catch (error) {
    emit(round, 'step.tool_returned', {
      step_id, tool: name, ok: false, latency_ms: latency_ms(), error: String(error),
    })
    throw error
  }
}

/** Returns a proposal: what a model would answer. */
async function propose(round: Place, x: number, number: number): Promise<number> {
  const step_id = newUlid()
  emit({ ...round, agent: 'planner' }, 'step.plan', {
    step_id, plan: 'take a step aside', next_action: 'propose', confidence: 0.5,
  })
  const proposal = x + 1.5 * Math.cos(3 * number)
  emit({ ...round, parentId: step_id }, '$ai_generation', {
    $ai_model: 'cosine', $ai_provider: 'example', $ai_input_tokens: 12, $ai_output_tokens: 3,
    $ai_latency: 0.01, $ai_total_cost_usd: 0.0002, phase: 'proposal', task_type: 'ar.propose',
    $ai_input: [{ role: 'user', content: `x is ${x}` }],
    $ai_output_choices: [{ role: 'assistant', content: String(proposal) }],
  })
  return proposal
}

/** Returns the mean score of a suite of two cases. */
function evaluate(round: Place, x: number): number {
  const suite_id = newUlid()
  const judge = { ...round, agent: 'judge' }
  const cases = { near_two: -((x - 2) ** 2), near_three: -((x - 3) ** 2) }
  emit(judge, 'eval.run', { suite_id, suite: 'parabolas', n_cases: 2, scorer_version: '1' })
  for (const [case_id, score] of Object.entries(cases)) {
    emit(judge, 'eval.case', { suite_id, case_id, dim: case_id, score, passed: score > -1 })
  }
  return (cases.near_two + cases.near_three) / 2
}

let [bestX, best] = [0, -6.5]
for (let number = 0; number < ROUNDS; number++) {
  const round: Place = { ...night, agent: 'coder', roundId: newUlid() }
  emit(round, 'round_started', { model: 'cosine', baseline_score: best, n_prior_rounds: number })
  const x = await propose(round, bestX, number)
  emit(round, 'proposal_generated', {
    prompt_tokens: 12, completion_tokens: 3, cost_usd: 0.0002, latency_ms: 10, model: 'cosine',
  })
  await tool(round, 'write', { x }, async () => ({ written: true }))
  emit(round, 'proposal_applied', { target: 'x', diff_bytes: 8, apply_latency_ms: 1 })
  const score = evaluate(round, x)
  emit(round, 'round_scored', {
    score, quality_score: score, metric: 'height', direction: 'max', dim_height: score,
  })
  if (score > best) {
    emit(round, 'round_kept', { delta: score - best, new_best: score, cost_usd: 0.0002 })
    ;[bestX, best] = [x, score]
  } else {
    emit(round, 'step.reflection', { step_id: newUlid(), verdict: 'worse', issues: ['height'] })
    emit(round, 'round_reverted', { failure_mode: 'score_missed', cost_usd: 0.0002 })
  }
}
emit(night, 'stop_triggered', {
  reason: 'max_rounds', rounds_completed: ROUNDS, final_best_score: best, total_cost_usd: 0.0006,
})
await posthog.shutdown()
