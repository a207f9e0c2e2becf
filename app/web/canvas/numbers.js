/**
 * A number with three digits that matter, and a minus sign as in print.
 * @type {(value: number) => string}
 */
export function shown(value) {
  const size = Math.abs(value);
  const text = size && (size < 1e-3 || size >= 1e5) ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replace(/-/g, "−");
}
