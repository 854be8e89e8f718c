// Made by `nightpane schema --typescript`: change nothing here.

/** A new round begins, before any model is called. */
export interface RoundStarted {
  /** the model, or the proposer, that will make the proposal */
  model?: string | null
  /** lines of the proposal, where it is known beforehand */
  diff_lines?: number | null
  /** the score to beat: the best so far */
  baseline_score?: number | null
  /** rounds of this run before this one */
  n_prior_rounds?: number | null
}

/** The agent has made a proposal: a candidate change. */
export interface ProposalGenerated {
  /** tokens sent to the model (tokens) */
  prompt_tokens?: number | null
  /** tokens it answered (tokens) */
  completion_tokens?: number | null
  /** what the proposal cost (USD) */
  cost_usd?: number | null
  /** how long it took (ms) */
  latency_ms?: number | null
  /** the model, or the proposer, that made it */
  model?: string | null
  /** the change in a sentence; cut at 2,000 characters */
  summary?: string | null
  /** the change as a unified diff; cut at 20,000 characters */
  diff?: string | null
}

/** The proposal is in place: in a branch, a workspace, a file. */
export interface ProposalApplied {
  /** where it was applied */
  target?: string | null
  /** size of the change (bytes) */
  diff_bytes?: number | null
  /** how long applying took (ms) */
  apply_latency_ms?: number | null
}

/** The scorer has returned its verdict; any number of `dim_*` properties break it down. */
export type RoundScored = RoundScoredProperties & ({ score: number } | { crashed: true })

export interface RoundScoredProperties {
  /** the verdict, in the metric's own unit; absent only when the round crashed */
  score?: number | null
  /** what the score measures, such as val_bpb */
  metric?: string | null
  /** which way is better; max when absent */
  direction?: 'max' | 'min' | null
  /** true when the harness measured it, false when it was reported */
  measured?: boolean | null
  /** why the proposer could have written it; cut at 2,000 characters */
  reported_because?: string | null
  /** true when the round crashed and has no score */
  crashed?: boolean | null
  /** version of the scorer */
  scorer_version?: string | null
  /** variant of the scorer, when a flag chose it */
  scorer_variant?: string | null
  /** mean of the eval suite, or a grader's verdict */
  quality_score?: number | null
  /** how often it was measured; the score is the mean */
  measurements?: number | null
  /** any number of them */
  [name: `dim_${string}`]: number | null
}

/** The score beat the baseline and the change stays. */
export interface RoundKept {
  /** improvement on the best so far, positive whichever way is better */
  delta?: number | null
  /** the best score from now on */
  new_best?: number | null
  /** what the whole round cost (USD) */
  cost_usd?: number | null
  /** the change's commit */
  commit?: string | null
  /** the rule that decided */
  keep_rule?: string | null
  /** why it decided so, in a sentence */
  keep_why?: string | null
  /** the least gain that the measurements allow, where the rule works one out */
  keep_low?: number | null
  /** measurements of the candidate that it decided on */
  keep_n?: number | null
  /** measurements of the best so far that it decided on */
  keep_n_best?: number | null
}

/** The change is rolled back: the score missed, or the round failed. */
export interface RoundReverted {
  /**
   * why, in one word; known values: score_missed, crash, timeout, invalid, exception, interrupted,
   * wrong_model
   */
  failure_mode: string
  /** why, in a sentence; cut at 2,000 characters */
  reason?: string | null
  /** what the whole round cost (USD) */
  cost_usd?: number | null
  /** dimensions that fell below the best so far */
  regressed_dimensions?: string[] | null
  /** the change's commit */
  commit?: string | null
  /** the rule that decided */
  keep_rule?: string | null
  /** why it decided so, in a sentence */
  keep_why?: string | null
  /** the least gain that the measurements allow, where the rule works one out */
  keep_low?: number | null
  /** measurements of the candidate that it decided on */
  keep_n?: number | null
  /** measurements of the best so far that it decided on */
  keep_n_best?: number | null
}

/** A model has stalled and the next tier takes over, or a kept round gives back to the first. */
export interface ModelEscalated {
  /** the model that stalled */
  from_model: string
  /** the model that takes over */
  to_model: string
  /** rounds without a gain before it */
  stall_rounds?: number | null
  /** what the run had cost by then (USD) */
  cost_usd?: number | null
  /** rounds that were kept by then */
  kept_rounds?: number | null
  /** rounds the model that is left has proposed */
  tier_rounds?: number | null
  /** what these have cost (USD) */
  tier_cost_usd?: number | null
  /** true when one of these was kept */
  helped?: boolean | null
  /** why, in a sentence; cut at 2,000 characters */
  reason?: string | null
}

/** The run ends. */
export interface StopTriggered {
  /**
   * why it ended; known values: max_rounds, budget, time_budget, plateau, kill_switch, target,
   * regressions, failures, error, interrupted
   */
  reason: string
  /** rounds that were kept or reverted */
  rounds_completed?: number | null
  /** what the run cost (USD) */
  total_cost_usd?: number | null
  /** the best score at the end */
  final_best_score?: number | null
}

/** Rounds were rolled into a training batch. */
export interface FinetuneBatchPublished {
  /** name of the batch */
  batch_id: string
  /** examples in it */
  n_examples?: number | null
  /** its key in the object store */
  r2_key?: string | null
  /** the model it is meant to train */
  target_model?: string | null
}

/** The agent decides what to do next. */
export interface StepPlan {
  /** the step's id; a call and its return share it */
  step_id: Ulid
  /** the plan; cut at 500 characters */
  plan?: string | null
  /** what comes next */
  next_action?: string | null
  /** how sure the agent is; from 0 to 1 */
  confidence?: number | null
}

/** A tool is called. */
export interface StepToolCalled {
  /** the step's id; a call and its return share it */
  step_id: Ulid
  /** name of the tool */
  tool: string
  /** its arguments as JSON; cut at 2,000 characters */
  args_json?: string | null
  /** how long it may take (ms) */
  timeout_ms?: number | null
  /**
   * kind of task it is called for; known values: aa.propose, aa.rewrite, aa.critique, aa.score,
   * aa.refine, aa.judge, ar.propose, ar.rewrite, ar.critique, ar.score, ar.refine, ar.judge,
   * gtm.propose, gtm.rewrite, gtm.critique, gtm.score, gtm.refine, gtm.judge
   */
  task_type?: string | null
}

/** The tool has returned, or failed. */
export interface StepToolReturned {
  /** the step's id; a call and its return share it */
  step_id: Ulid
  /** name of the tool */
  tool: string
  /** false when it failed */
  ok: boolean
  /** how long it took (ms) */
  latency_ms?: number | null
  /** its result as JSON; cut at 2,000 characters */
  result_json?: string | null
  /** size of its result (bytes) */
  result_bytes?: number | null
  /** why it failed; cut at 400 characters */
  error?: string | null
}

/** Something outside was looked at: a metric, the end of a log. */
export interface StepObservation {
  /** the step's id; a call and its return share it */
  step_id: Ulid
  /** what was looked at */
  source: string
  /** what was seen */
  value?: unknown | null
  /** change since it was last looked at */
  delta_from_last?: number | null
}

/** The agent judges its own output. */
export interface StepReflection {
  /** the step's id; a call and its return share it */
  step_id: Ulid
  /** the judgement */
  verdict?: string | null
  /** what is wrong with it */
  issues?: string[] | null
  /** whether it will try again */
  retry?: boolean | null
}

/** The agent tries again after a failure. */
export interface StepRetry {
  /** the step that is the new attempt */
  step_id: Ulid
  /** why it tries again */
  cause?: string | null
  /** number of the attempt that begins; the first one was 1; from 1 */
  attempt?: number | null
  /** the error before; cut at 400 characters */
  prior_error?: string | null
  /** the step that failed */
  prior_step_id?: Ulid | null
  /** name of the tool that is called again */
  tool?: string | null
}

/** A suite starts on a candidate. */
export interface EvalRun {
  /** id of this evaluation */
  suite_id: Ulid
  /** name of the suite */
  suite: string
  /** cases in it */
  n_cases?: number | null
  /** version of the scorer */
  scorer_version?: string | null
  /** which way its cases' scores are better; max when absent */
  direction?: 'max' | 'min' | null
  /** `asked`, or why the best scores before cannot be asked for */
  history?: string | null
}

/** One case of a suite is judged. */
export interface EvalCase {
  /** the evaluation it belongs to */
  suite_id: Ulid
  /** name of the case */
  case_id: string
  /** dimension it belongs to */
  dim?: string | null
  /** its score */
  score?: number | null
  /** why it has that score; cut at 800 characters */
  rationale?: string | null
  /** whether it reached its threshold */
  passed?: boolean | null
}

/** A case is worse than its best before by more than the threshold, or no longer passes. */
export interface EvalRegression {
  /** name of the case */
  case_id: string
  /** dimension it belongs to */
  dim?: string | null
  /** its best score before */
  prior_score?: number | null
  /** its score now */
  new_score?: number | null
  /** new minus prior */
  delta?: number | null
  /** the evaluation it belongs to */
  suite_id?: Ulid | null
}

/** One routed model call. */
export interface TokenMachineRequest {
  /** who called: a distinct_id, a person's or an agent's */
  user_id?: string | null
  /**
   * kind of task, in the one taxonomy both sides use; known values: aa.propose, aa.rewrite,
   * aa.critique, aa.score, aa.refine, aa.judge, ar.propose, ar.rewrite, ar.critique, ar.score,
   * ar.refine, ar.judge, gtm.propose, gtm.rewrite, gtm.critique, gtm.score, gtm.refine, gtm.judge
   */
  task_type?: string | null
  /** the model it was routed to; the same as $ai_model */
  model_used?: string | null
  /** the same as $ai_input_tokens (tokens) */
  input_tokens?: number | null
  /** the same as $ai_output_tokens (tokens) */
  output_tokens?: number | null
  /** the same as $ai_total_cost_usd (USD) */
  cost_usd?: number | null
  /** the grader's verdict */
  quality_score?: number | null
  /** quality per dollar, as a grade */
  efficiency_grade?: string | null
  /** how long it took (ms) */
  latency_ms?: number | null
  /** Token Machine's own id of the request */
  request_id?: string | null
  /** the team of who called */
  team?: string | null
  /** name of the key it was called with; never the key */
  key_name?: string | null
  /** id of the routing rules in force */
  rule_id?: string | null
  /** what the caller asked for: a model, a task or auto */
  model_asked?: string | null
  /** why it was routed where it was */
  route_reason?: string | null
  /** the model it was routed to first, which did not answer */
  stood_in_for?: string | null
  /** LiteLLM's name of the model */
  litellm_model?: string | null
  /** whether the answer came piece by piece */
  is_stream?: boolean | null
  /** until the first piece came (ms) */
  first_piece_ms?: number | null
  /** whether the answer broke off and another model carried on */
  was_cut?: boolean | null
  /** whether the tokens are an estimate */
  tokens_estimated?: boolean | null
}

/** What the whole team used. */
export interface TokenMachineTeamSummary {
  /** calls */
  total_requests?: number | null
  /** what they cost (USD) */
  total_cost?: number | null
  /** mean of the grader's verdicts */
  avg_quality?: number | null
  /** who got the least quality for a dollar */
  worst_performer?: string | null
  /** who got the most */
  best_performer?: string | null
  /** task types that may need a better model */
  escalation_candidates?: string[] | null
  /** the day it is about, of UTC */
  day?: string | null
}

/** Something in the routing looks wrong. */
export interface TokenMachineAnomaly {
  /** what kind; known values: wrong_model, cost_spike, latency_spike, error_spike */
  type?: string | null
  /** who called: a distinct_id, a person's or an agent's */
  user_id?: string | null
  /**
   * kind of task, in the one taxonomy both sides use; known values: aa.propose, aa.rewrite,
   * aa.critique, aa.score, aa.refine, aa.judge, ar.propose, ar.rewrite, ar.critique, ar.score,
   * ar.refine, ar.judge, gtm.propose, gtm.rewrite, gtm.critique, gtm.score, gtm.refine, gtm.judge
   */
  task_type?: string | null
  /** what to do about it */
  recommendation?: string | null
  /** the model it is about */
  model_used?: string | null
  /** the day it is about, of UTC */
  day?: string | null
  /** the figures it is judged by */
  evidence?: Record<string, unknown> | null
}

/** A call of a model, or another of PostHog's LLM events. */
export interface ModelCall {
  /** part of the round; known values: proposal, critique, score, refine */
  phase?: string | null
  /**
   * kind of task; known values: aa.propose, aa.rewrite, aa.critique, aa.score, aa.refine,
   * aa.judge, ar.propose, ar.rewrite, ar.critique, ar.score, ar.refine, ar.judge, gtm.propose,
   * gtm.rewrite, gtm.critique, gtm.score, gtm.refine, gtm.judge
   */
  task_type?: string | null
  /** the trace it belongs to; the round_id in a loop */
  $ai_trace_id?: string | null
  /** name of the trace */
  $ai_trace_name?: string | null
  /** groups traces; not the event's $session_id */
  $ai_session_id?: string | null
  /** its own id within the trace */
  $ai_span_id?: string | null
  /** its own id, in an older spelling */
  $ai_generation_id?: string | null
  /** the span it ran in: a step, case or suite */
  $ai_parent_id?: string | null
  /** name of the operation */
  $ai_span_name?: string | null
  /** kind of operation */
  $ai_span_type?: string | null
  /** groups spans */
  $ai_group_id?: string | null
  /** the experiment it belongs to */
  $ai_experiment_id?: string | null
  /** name of that experiment */
  $ai_experiment_name?: string | null
  /** the item of the experiment */
  $ai_experiment_item_id?: string | null
  /** name of that item */
  $ai_experiment_item_name?: string | null
  /** the event that is judged */
  $ai_target_event_id?: string | null
  /** kind of the event that is judged */
  $ai_target_event_type?: string | null
  /** what is judged */
  $ai_target_id?: string | null
  /** kind of what is judged */
  $ai_target_type?: string | null
  /** who serves the model */
  $ai_provider?: string | null
  /** the model that answered */
  $ai_model?: string | null
  /** address it was called at */
  $ai_base_url?: string | null
  /** tier the provider served it in */
  $ai_service_tier?: string | null
  /** framework that made the call */
  $ai_framework?: string | null
  /** version of that framework */
  $ai_framework_version?: string | null
  /** library that recorded the call */
  $ai_lib?: string | null
  /** version of that library */
  $ai_lib_version?: string | null
  /** the way the event came in */
  $ai_ingestion_source?: string | null
  /** the provider's id of the answer */
  $ai_completion_id?: string | null
  /** agent that made the call */
  $ai_agent_name?: string | null
  /** name of a managed prompt */
  $ai_prompt_name?: string | null
  /** id of that prompt's version */
  $ai_prompt_version_id?: string | null
  /** project the call was made in */
  $ai_project_name?: string | null
  /** branch of the calling code */
  $ai_git_branch?: string | null
  /** repository of the calling code */
  $ai_git_repo?: string | null
  /** what the person asked */
  $ai_user_prompt?: string | null
  /** the model's reasoning, or a judge's */
  $ai_reasoning?: string | null
  /** names of the called tools, with commas between */
  $ai_tools_called?: string | null
  /** sdk or passthrough: who counted the tokens */
  $ai_tokens_source?: string | null
  /** the error; an object is kept as its JSON text */
  $ai_error?: string | null
  /** kind of error */
  $ai_error_type?: string | null
  /** the error without its varying parts */
  $ai_error_normalized?: string | null
  /** why the model stopped */
  $ai_stop_reason?: string | null
  /** how it ended */
  $ai_status?: string | null
  /** kind of result */
  $ai_result_type?: string | null
  /** address of the request */
  $ai_request_url?: string | null
  /** name of a metric */
  $ai_metric_name?: string | null
  /** version of that metric */
  $ai_metric_version?: string | null
  /** a person's words on the trace */
  $ai_feedback_text?: string | null
  /** where an evaluation came from */
  $ai_eval_source?: string | null
  /** the evaluation */
  $ai_evaluation_id?: string | null
  /** name of the evaluation */
  $ai_evaluation_name?: string | null
  /** kind of evaluation */
  $ai_evaluation_type?: string | null
  /** model that judged */
  $ai_evaluation_model?: string | null
  /** who serves the judging model */
  $ai_evaluation_provider?: string | null
  /** why it was judged so */
  $ai_evaluation_reasoning?: string | null
  /** what ran the evaluation */
  $ai_evaluation_runtime?: string | null
  /** model whose prices were used; set by the server */
  $ai_model_cost_used?: string | null
  /** where those prices come from; set by the server */
  $ai_cost_model_source?: string | null
  /** whose prices they are; set by the server */
  $ai_cost_model_provider?: string | null
  /** parameters of the call */
  $ai_model_parameters?: unknown | null
  /** what else the provider said */
  $ai_provider_metadata?: unknown | null
  /** version of a managed prompt */
  $ai_prompt_version?: unknown | null
  /** messages sent */
  $ai_input?: unknown | null
  /** what came back */
  $ai_output?: unknown | null
  /** answers of the model */
  $ai_output_choices?: unknown | null
  /** what a span began with */
  $ai_input_state?: unknown | null
  /** what a span ended with */
  $ai_output_state?: unknown | null
  /** system prompt */
  $ai_instructions?: unknown | null
  /** tools offered to the model */
  $ai_tools?: unknown | null
  /** the answer that was expected */
  $ai_expected?: unknown | null
  /** token counts as the provider reported them */
  $ai_usage?: unknown | null
  /** value of a metric, a number or a word */
  $ai_metric_value?: unknown | null
  /** the verdict */
  $ai_evaluation_result?: unknown | null
  /** when the evaluation began */
  $ai_evaluation_start_time?: unknown | null
  /** whether it was streamed */
  $ai_stream?: boolean | null
  /** whether it failed */
  $ai_is_error?: boolean | null
  /** whether input_tokens leaves cached tokens out */
  $ai_cache_reporting_exclusive?: boolean | null
  /** whether the caller gave the cost */
  $ai_cost_passthrough?: boolean | null
  /** whether PostHog bills the event */
  $ai_billable?: boolean | null
  /** whether the evaluation applies */
  $ai_evaluation_applicable?: boolean | null
  /** whether it may be found not to apply */
  $ai_evaluation_allows_na?: boolean | null
  /** HTTP status of the call */
  $ai_http_status?: number | null
  /** tool calls in the answer */
  $ai_tool_call_count?: number | null
  /** web searches made */
  $ai_web_search_count?: number | null
  /** requests it took */
  $ai_request_count?: number | null
  /** contents stored apart */
  $ai_blob_count?: number | null
  /** size of the contents stored apart (bytes) */
  $ai_blob_bytes?: number | null
  /** limit of the answer (tokens) */
  $ai_max_tokens?: number | null
  /** tokens sent (tokens) */
  $ai_input_tokens?: number | null
  /** tokens answered (tokens) */
  $ai_output_tokens?: number | null
  /** sent and answered (tokens) */
  $ai_total_tokens?: number | null
  /** sent, cached ones included (tokens) */
  $ai_total_input_tokens?: number | null
  /** answered, reasoning included (tokens) */
  $ai_total_output_tokens?: number | null
  /** spent on reasoning (tokens) */
  $ai_reasoning_tokens?: number | null
  /** sent and read from the cache (tokens) */
  $ai_cache_read_input_tokens?: number | null
  /** sent and written to the cache (tokens) */
  $ai_cache_creation_input_tokens?: number | null
  /** of these, kept for five minutes (tokens) */
  $ai_cache_creation_5m_input_tokens?: number | null
  /** of these, kept for an hour (tokens) */
  $ai_cache_creation_1h_input_tokens?: number | null
  /** audio read from the cache (tokens) */
  $ai_cache_read_audio_tokens?: number | null
  /** text sent (tokens) */
  $ai_text_input_tokens?: number | null
  /** text answered (tokens) */
  $ai_text_output_tokens?: number | null
  /** audio sent (tokens) */
  $ai_audio_input_tokens?: number | null
  /** audio answered (tokens) */
  $ai_audio_output_tokens?: number | null
  /** image sent (tokens) */
  $ai_image_input_tokens?: number | null
  /** image answered (tokens) */
  $ai_image_output_tokens?: number | null
  /** video sent (tokens) */
  $ai_video_input_tokens?: number | null
  /** video answered (tokens) */
  $ai_video_output_tokens?: number | null
  /** sampling temperature */
  $ai_temperature?: number | null
  /** a score given to the trace */
  $ai_score?: number | null
  /** lowest score possible */
  $ai_score_min?: number | null
  /** highest score possible */
  $ai_score_max?: number | null
  /** cost of the call (USD) */
  $ai_total_cost_usd?: number | null
  /** cost of the input (USD) */
  $ai_input_cost_usd?: number | null
  /** cost of the output (USD) */
  $ai_output_cost_usd?: number | null
  /** cost of the request itself (USD) */
  $ai_request_cost_usd?: number | null
  /** cost of web searches (USD) */
  $ai_web_search_cost_usd?: number | null
  /** cost of audio (USD) */
  $ai_audio_cost_usd?: number | null
  /** cost of images (USD) */
  $ai_image_cost_usd?: number | null
  /** cost of video (USD) */
  $ai_video_cost_usd?: number | null
  /** price of one request (USD) */
  $ai_request_price?: number | null
  /** price of one web search (USD) */
  $ai_web_search_price?: number | null
  /** price of input (USD per token) */
  $ai_input_token_price?: number | null
  /** price of output (USD per token) */
  $ai_output_token_price?: number | null
  /** price of reading the cache (USD per token) */
  $ai_cache_read_token_price?: number | null
  /** price of writing to the cache (USD per token) */
  $ai_cache_write_token_price?: number | null
  /** price of writing for an hour (USD per token) */
  $ai_cache_write_1h_token_price?: number | null
  /** how long it took (s) */
  $ai_latency?: number | null
  /** until the first token arrived (s) */
  $ai_time_to_first_token?: number | null
}

/** The properties of each event, by its name. */
export interface EventProperties {
  round_started: RoundStarted
  proposal_generated: ProposalGenerated
  proposal_applied: ProposalApplied
  round_scored: RoundScored
  round_kept: RoundKept
  round_reverted: RoundReverted
  model_escalated: ModelEscalated
  stop_triggered: StopTriggered
  finetune_batch_published: FinetuneBatchPublished
  'step.plan': StepPlan
  'step.tool_called': StepToolCalled
  'step.tool_returned': StepToolReturned
  'step.observation': StepObservation
  'step.reflection': StepReflection
  'step.retry': StepRetry
  'eval.run': EvalRun
  'eval.case': EvalCase
  'eval.regression': EvalRegression
  'token_machine.request': TokenMachineRequest
  'token_machine.team_summary': TokenMachineTeamSummary
  'token_machine.anomaly': TokenMachineAnomaly
  $ai_embedding: ModelCall
  $ai_evaluation: ModelCall
  $ai_feedback: ModelCall
  $ai_generation: ModelCall
  $ai_metric: ModelCall
  $ai_span: ModelCall
  $ai_trace: ModelCall
}

const REQUIRED: Partial<Record<EventName, readonly string[]>> = {
  round_started: ["round_id"],
  proposal_generated: ["round_id"],
  proposal_applied: ["round_id"],
  round_scored: ["score", "round_id"],
  round_kept: ["round_id"],
  round_reverted: ["failure_mode", "round_id"],
  model_escalated: ["from_model", "to_model", "round_id"],
  stop_triggered: ["reason"],
  finetune_batch_published: ["batch_id"],
  'step.plan': ["step_id", "round_id"],
  'step.tool_called': ["step_id", "tool", "round_id"],
  'step.tool_returned': ["step_id", "tool", "ok", "round_id"],
  'step.observation': ["step_id", "source", "round_id"],
  'step.reflection': ["step_id", "round_id"],
  'step.retry': ["step_id", "round_id"],
  'eval.run': ["suite_id", "suite", "round_id"],
  'eval.case': ["suite_id", "case_id", "round_id"],
  'eval.regression': ["case_id", "round_id"],
}
const UNLESS: Record<string, string> = {"score": "crashed"}
const LONGEST: Partial<Record<EventName, Record<string, number>>> = {
  proposal_generated: {"summary": 2000, "diff": 20000},
  round_scored: {"reported_because": 2000},
  round_reverted: {"reason": 2000},
  model_escalated: {"reason": 2000},
  'step.plan': {"plan": 500},
  'step.tool_called': {"args_json": 2000},
  'step.tool_returned': {"result_json": 2000, "error": 400},
  'step.retry': {"prior_error": 400},
  'eval.case': {"rationale": 800},
}
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
