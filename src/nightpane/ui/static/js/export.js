// Files for the reader: a table as CSV that no spreadsheet runs, a chart as PNG with its title.

const RISKY = /^[=+\-@\t\r]/;

function field(value) {
  if (value === null || value === undefined) return "";
  let text = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (typeof value !== "number" && RISKY.test(text)) text = `'${text}`; // would be run as a formula
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Return rows (lists of values) under their columns as CSV text. */
export const csv = (columns, rows) =>
  [columns, ...rows].map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";

/** Have the browser save a file. */
export function save(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 30_000);
}

/** Save a chart's picture with its title and question above it. */
export async function savePng(name, { picture, title, question }) {
  const image = new Image();
  image.src = picture;
  await image.decode();
  const style = getComputedStyle(document.documentElement);
  const of = (key) => style.getPropertyValue(`--${key}`).trim();
  const canvas = document.createElement("canvas");
  const pad = 40;
  const top = 140;
  canvas.width = image.width + 2 * pad;
  canvas.height = image.height + top + pad;
  const pen = canvas.getContext("2d");
  pen.fillStyle = of("card");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = of("ink");
  pen.font = `600 36px ${of("sans")}`;
  pen.fillText(title, pad, 62, image.width);
  pen.fillStyle = of("soft");
  pen.font = `26px ${of("sans")}`;
  pen.fillText(question, pad, 104, image.width);
  pen.drawImage(image, pad, top);
  save(name, await new Promise((done) => canvas.toBlob(done, "image/png")));
}
