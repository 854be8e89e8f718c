// A page where a person reviews proposals: each verdict is tracked as the events of a round.
//
// Host and key come from the page's address: index.html?host=http://127.0.0.1:8321&key=phc_…

import posthog from 'posthog-js'

import { beforeSend, distinctId, newUlid, track, type Place } from './nightpane.js'

interface Proposal {
  summary: string
  diff: string
  baseline: number
}

const PROPOSALS: Proposal[] = [
  { summary: 'Lower the learning rate', diff: '-lr = 0.1\n+lr = 0.01\n', baseline: 0.5 },
  { summary: 'Drop the second layer', diff: '-layers = 2\n+layers = 1\n', baseline: 0.5 },
]

const asked = new URLSearchParams(location.search)
const night: Place = {
  project: asked.get('project') ?? 'autoresearch',
  client: asked.get('client') ?? 'internal',
  agent: 'reviewer',
  runId: newUlid(),
}
posthog.init(asked.get('key') ?? '', {
  api_host: asked.get('host') ?? '',
  bootstrap: { distinctID: distinctId(night), isIdentifiedID: true },
  before_send: beforeSend,
  person_profiles: 'always',
  autocapture: false,
  capture_pageview: false,
  persistence: 'memory',
  request_queue_config: { flush_interval_ms: 250 },
  opt_out_useragent_filter: true, // a page that a test opens counts as a bot otherwise
})

let best = 0.5
let reviewed = 0

function show(proposal: Proposal, number: number): HTMLElement {
  const round: Place = { ...night, roundId: newUlid() }
  const began = performance.now()
  const card = document.createElement('article')
  card.append(element('h2', proposal.summary), element('pre', proposal.diff))
  for (const [label, score] of [['Keep', 1], ['Revert', 0]] as const) {
    const button = element('button', label)
    button.addEventListener('click', () => {
      decide(round, proposal, score, Math.round(performance.now() - began))
      for (const other of card.querySelectorAll('button')) other.disabled = true
      card.append(` ${label}`)
    })
    card.append(button)
  }
  track(posthog, round, 'round_started', {
    model: 'a person', baseline_score: proposal.baseline, n_prior_rounds: number,
  })
  track(posthog, round, 'proposal_generated', { summary: proposal.summary, diff: proposal.diff })
  return card
}

function decide(round: Place, proposal: Proposal, score: number, latency_ms: number): void {
  const suite_id = newUlid()
  track(posthog, round, 'step.observation', {
    step_id: newUlid(), source: 'review', value: { latency_ms },
  })
  track(posthog, round, 'eval.run', { suite_id, suite: 'human-review', n_cases: 1 })
  track(posthog, round, 'eval.case', { suite_id, case_id: 'verdict', score, passed: score === 1 })
  track(posthog, round, 'round_scored', {
    score, quality_score: score, metric: 'verdict', direction: 'max', measured: false,
    dim_verdict: score,
  })
  if (score === 1) {
    best = Math.max(best, score)
    track(posthog, round, 'round_kept', { delta: score - proposal.baseline, new_best: best })
  } else {
    track(posthog, round, 'round_reverted', { failure_mode: 'score_missed', reason: 'by hand' })
  }
  reviewed++
  document.querySelector('[aria-live]')!.textContent = `${reviewed} of ${PROPOSALS.length} reviewed`
  if (reviewed === PROPOSALS.length) {
    track(posthog, night, 'stop_triggered', {
      reason: 'max_rounds', rounds_completed: reviewed, final_best_score: best,
    })
  }
}

function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  text: string,
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  made.textContent = text
  return made
}

document.querySelector('main')!.append(...PROPOSALS.map(show))
