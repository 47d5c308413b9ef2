/** How numbers and tables are written in Markdown. */

/** Two digits, and whole from ten on: `2`, `0.047`, `1,700`. */
export function short(x: number): string {
  const rounded = Number(x.toPrecision(2));
  return Math.abs(rounded) < 10 ? String(rounded) : Math.round(x < 100 ? x : rounded).toLocaleString("en-US");
}

export const multiple = (x: number): string => (Math.abs(x) < 0.005 ? "0" : `${short(x)} ×`);

/** Bytes, decimal: `8 MB`. */
export const unit = (bytes: number): string =>
  bytes === 0 ? "0" : bytes < 1e6 ? `${short(bytes / 1e3)} kB` : `${short(bytes / 1e6)} MB`;

export const fenced = (text: string): string => `\`\`\`text\n${text}\n\`\`\``;

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
};

/** Numbers from 0 to 1 as columns of eighths. */
export const charted = (numbers: readonly number[]): string =>
  numbers.map((x) => "▁▂▃▄▅▆▇█"[Math.min(7, Math.floor(x * 8))]).join("");
