// Prints what the compiled module makes of the ULIDs given, one of its own, and odd events.
// Usage: node vectors.mjs MODULE ULID…
const module = await import(process.argv[2])
const sessions = process.argv.slice(3).map((ulid) => module.sessionIdFromUlid(ulid))
const made = module.newUlid()
const sent = []
const client = { capture: (message) => sent.push(message) }
const place = { project: 'p', agent: 'a', roundId: made, parentId: 'step' }
const suite_id = module.newUlid()
module.track(client, place, 'step.plan', { step_id: 's', plan: '\u{1F600}'.repeat(501) })
module.track(client, place, 'eval.case', { suite_id, case_id: 'a b' }, { own: 1, score: null })
module.track(client, { ...place, roundId: 'not-a-ulid' }, 'round_scored', { crashed: true })
module.track(client, { project: 'p', agent: 'a' }, 'round_scored', {})
let refused = ''
try {
  module.sessionIdFromUlid('none')
} catch (error) {
  refused = `${error.name}: ${error.message}`
}
const many = Array.from({ length: 1000 }, module.newUlid)
const ordered = many.every((ulid, at) => at === 0 || many[at - 1] < ulid)
console.log(JSON.stringify({ sessions, made, ordered, session: module.sessionIdFromUlid(made), sent, refused }))
