// Compiled by a test: what the module must refuse, and what it must take.
import { track, type EventProperties, type NodeClient, type Place } from './nightpane.js'

declare const client: NodeClient
declare const place: Place

track(client, place, 'round_scored', { score: 1, dim_speed: 0.5 })
track(client, place, 'round_scored', { crashed: true })
track(client, place, 'stop_triggered', { reason: 'a reason of our own' }, { own: 'property' })
track(client, place, '$ai_generation', { $ai_model: 'm', phase: 'score' })

// @ts-expect-error: the score is missing
track(client, place, 'round_scored', { metric: 'loss' })
// @ts-expect-error: a dimension is a number
track(client, place, 'round_scored', { score: 1, dim_speed: 'fast' })
// @ts-expect-error: up is no direction
track(client, place, 'round_scored', { score: 1, direction: 'up' })
// @ts-expect-error: a number is no text
track(client, place, 'round_started', { model: 1 })
// @ts-expect-error: modell is not in the catalogue
track(client, place, 'round_started', { modell: 'm' })
// @ts-expect-error: the event is not in the catalogue
track(client, place, 'round_begun', {})
// @ts-expect-error: the reason is required
track(client, place, 'stop_triggered', {})
// @ts-expect-error: a place has an agent
track(client, { project: 'p' }, 'round_started', {})

export type Scored = EventProperties['round_scored']
