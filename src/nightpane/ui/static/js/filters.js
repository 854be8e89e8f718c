// The filters above the boards: what is chosen, and what there is to choose from.

import { $, h } from "./dom.js";

const NARROWING = ["project", "client", "agent", "run", "range", "from", "to"];

/** Return the state after a filter was changed by hand. */
export function changed({ name, value }, state) {
  if (name === "range" && value === "dates") return null; // until a date is chosen
  if (name === "range") return { range: value === "30d" ? "" : value, from: "", to: "" };
  if (name === "from" || name === "to") return { [name]: value, range: "" };
  if (name === "run" || name === "agent") return { [name]: value };
  return state[name] === value ? null : { [name]: value, run: "" };
}

/** Show a state in the form, with what there is to choose from. */
export function fill(form, state, { loops, agents, runs }) {
  const distinct = (name) => [...new Set(loops.map((loop) => loop[name]).filter((value) => value !== null))];
  const clients = distinct("client");
  options(form, state, "project", distinct("project"));
  options(form, state, "client", clients);
  options(form, state, "agent", agents);
  options(form, state, "run", runs.map((run) => run.run), (run) => run.slice(-10));
  $("client-filter").hidden = clients.length < 2 && !state.client;
  showState(form, state);
}

/** Show in the form what the state says of dates. */
export function showState(form, state) {
  const dated = Boolean(state.from || state.to);
  form.elements.range.value = dated ? "dates" : state.range || "30d";
  form.elements.from.value = state.from;
  form.elements.to.value = state.to;
  showDates(form);
  $("clear").hidden = !NARROWING.some((key) => state[key]);
}

/** Show the two dates when they are what is asked for. */
export function showDates(form) {
  const dated = form.elements.range.value === "dates";
  for (const label of form.querySelectorAll(".dates")) label.hidden = !dated;
}

export const none = Object.fromEntries(NARROWING.map((key) => [key, ""]));

function options(form, state, name, values, text = (value) => value) {
  const select = form.elements[name];
  const wanted = state[name] && !values.includes(state[name]) ? [state[name], ...values] : values;
  const now = JSON.stringify(wanted);
  if (select.dataset.options !== now) {
    select.dataset.options = now;
    select.replaceChildren(h("option", { value: "" }, "All"), ...wanted.map((value) => h("option", { value, title: value }, text(value))));
  }
  select.value = state[name];
}
