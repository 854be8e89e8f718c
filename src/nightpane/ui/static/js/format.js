// Figures as text. A missing value is null here and a dash on the page, never a zero.

const whole = new Intl.NumberFormat("en");
const dollars = new Map(); // digits → their format: making one takes longer than using it
const shortTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayTime = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit",
});

export const count = (value) => (value === null ? null : whole.format(value));

export function score(value) {
  return value === null || value === undefined ? null : String(Number(Number(value).toPrecision(6)));
}

export function usd(value) {
  if (value === null || value === undefined) return null;
  const digits = value === 0 ? 2 : Math.max(2, 1 - Math.floor(Math.log10(Math.abs(value))));
  if (!dollars.has(digits)) {
    dollars.set(digits, new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return `$${dollars.get(digits).format(value)}`;
}

export const percent = (value) => (value === null ? null : `${Math.round(value * 100)} %`);

export function signed(value) {
  if (value === null || value === undefined) return null;
  const text = String(Number(Math.abs(value).toPrecision(3)));
  return value === 0 ? "0" : `${value > 0 ? "+" : "−"}${text}`;
}

/** Read a time of a query's answer: a zone is written out, or it is UTC. */
export function moment(value) {
  if (!value) return null;
  const text = String(value).replace(" ", "T");
  return new Date(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
}

export const timeOfDay = (date) => shortTime.format(date);
export const dayOf = (date) => day.format(date);
export const dayAndTime = (date) => dayTime.format(date);

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return null;
  if (seconds < 0.001) return null;
  if (seconds < 10) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Number((seconds / 3600).toPrecision(3))} h`;
}
