/** 26 characters of Crockford's base 32: 48 bits of milliseconds, 80 random ones. */
export type Ulid = string

export type EventName = keyof EventProperties

/** Where an event belongs: which loop and role, and which run, round and part of it. */
export interface Place {
  /** which loop, such as autoresearch */
  project: string
  /** tenant; internal by default */
  client?: string
  /** the role that acts, such as coder */
  agent: string
  /** short commit of the loop's code */
  gitSha?: string
  runId?: Ulid
  roundId?: Ulid
  /** the step, case or suite it happens in; the round by default */
  parentId?: string
}

/** What is needed of posthog-node's client. */
export interface NodeClient {
  capture(message: {
    distinctId: string
    event: string
    properties: Record<string, unknown>
    uuid: string
    timestamp: Date
  }): unknown
}

/** What is needed of posthog-js. */
export interface BrowserClient {
  capture(
    event: string,
    properties: Record<string, unknown>,
    options: { uuid: string; _noTruncate: boolean },
  ): unknown
  get_distinct_id(): string
}

/**
 * Tracks one event of the catalogue; returns its uuid.
 *
 * Texts are cut to their limits. `extra` are properties of your own.
 */
export function track<E extends EventName>(
  client: NodeClient | BrowserClient,
  place: Place,
  event: E,
  properties: EventProperties[E],
  extra: Record<string, unknown> = {},
): string {
  const uuid = uuid7(newBits())
  const timestamp = new Date()
  const given: Record<string, unknown> = { ...properties, ...extra }
  const all = {
    ...envelope(place),
    ts: timestamp.getTime() / 1000,
    ...tree(event, place, given, uuid),
    ...cut(event, given),
  }
  const missing = problems(event, all)
  const sent = missing.length === 0 ? all : { ...all, $nightpane_invalid: missing }
  if ('get_distinct_id' in client) {
    const own = { ...sent, distinct_id: distinctId(place) }
    client.capture(event, own, { uuid, _noTruncate: true })
  } else {
    // The same time whichever attempt reaches PostHog.
    const own = { ...sent, $ignore_sent_at: true }
    client.capture({ distinctId: distinctId(place), event, properties: own, uuid, timestamp })
  }
  return uuid
}

/** Returns what every event of a place carries; @posthog/ai takes it as `posthogProperties`. */
export function envelope(place: Place): Record<string, unknown> {
  const { roundId } = place
  const known: Record<string, unknown> = {
    project: place.project,
    client: place.client ?? 'internal',
    agent: place.agent,
    git_sha: place.gitSha,
    run_id: place.runId,
    round_id: roundId,
    $ai_trace_id: roundId,
    $ai_parent_id: place.parentId ?? roundId,
    $session_id: roundId === undefined || !isUlid(roundId) ? undefined : sessionIdFromUlid(roundId),
  }
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined))
}

/** Returns the distinct_id of a place's agent. */
export function distinctId(place: Place): string {
  return `${place.project}:${place.client ?? 'internal'}:${place.agent}`.slice(0, 200)
}

/**
 * For posthog-js, as `before_send` of its options: an event of a round keeps the round's session,
 * which posthog-js replaces by the browser's.
 */
export function beforeSend<T extends { properties: Record<string, unknown> } | null>(event: T): T {
  const round = event?.properties['round_id']
  if (event !== null && typeof round === 'string' && isUlid(round)) {
    event.properties['$session_id'] = sessionIdFromUlid(round)
  }
  return event
}

/** Returns a new ULID: for a run, a round, a step or a suite. */
export function newUlid(): Ulid {
  const bits = newBits()
  let text = ''
  for (let shift = 125n; shift >= 0n; shift -= 5n) {
    text += ALPHABET[Number((bits >> shift) & 31n)]
  }
  return text
}

/** Tells whether a text has the form of a ULID. */
export function isUlid(text: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i.test(text)
}

/** Returns the UUIDv7 with a ULID's bits: a round's `$session_id`. Throws when it is no ULID. */
export function sessionIdFromUlid(ulid: Ulid): string {
  if (!isUlid(ulid)) throw new RangeError(`not a ULID: ${ulid}`)
  let bits = 0n
  for (const char of ulid.toUpperCase()) bits = (bits << 5n) | BigInt(ALPHABET.indexOf(char))
  return uuid7(bits)
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

let last = 0n

/** Returns 48 bits of milliseconds and 80 random ones, more than the time before. */
function newBits(): bigint {
  let bits = BigInt(Date.now())
  // The top random bit stays free, so that counting on within a millisecond never runs over.
  for (const [at, byte] of crypto.getRandomValues(new Uint8Array(10)).entries()) {
    bits = (bits << 8n) | BigInt(at === 0 ? byte & 0x7f : byte)
  }
  last = bits > last ? bits : last + 1n + (bits & 0xffffffn)
  return last
}

function uuid7(bits: bigint): string {
  const kept = bits & ~(0xfn << 76n) & ~(0x3n << 62n)
  const hex = (kept | (0x7n << 76n) | (0x2n << 62n)).toString(16).padStart(32, '0')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Returns an event's own id and its parent's: every round is one tree. */
function tree(
  event: EventName,
  place: Place,
  given: Record<string, unknown>,
  uuid: string,
): Record<string, unknown> {
  const suite = given['suite_id']
  const one = `${suite}:${String(given['case_id']).replace(/[^\w~.@()!'|-]/g, '-')}`
  if (event === 'round_started') return { $ai_span_id: place.roundId, $ai_parent_id: undefined }
  if (event === 'eval.run') return { $ai_span_id: suite }
  if (event === 'eval.case') return { $ai_span_id: one, $ai_parent_id: suite }
  if (event === 'eval.regression') return { $ai_parent_id: one }
  if (event.startsWith('step.')) return { $ai_span_id: given['step_id'] }
  return event.startsWith('$ai_') ? { $ai_span_id: uuid } : {}
}

function cut(event: EventName, given: Record<string, unknown>): Record<string, unknown> {
  const found = { ...given }
  for (const [name, limit] of Object.entries(LONGEST[event] ?? {})) {
    const text = given[name]
    if (typeof text !== 'string' || text.length <= limit) continue
    const characters = [...text]
    if (characters.length <= limit) continue
    found[name] = characters.slice(0, limit).join('')
    found[`${name}_length`] = characters.length
  }
  return found
}

function problems(event: EventName, given: Record<string, unknown>): string[] {
  const missing = (REQUIRED[event] ?? []).filter((name) => given[name] == null)
  return missing
    .filter((name) => given[UNLESS[name] ?? ''] !== true)
    .map((name) => `${name} is missing; it is required`)
}
