// Numbers along an axis.

const formats = new Map();

/** With so many decimals, thousands apart, and a minus sign as in print. */
function decimal(value, decimals) {
  if (!formats.has(decimals)) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    formats.set(decimals, new Intl.NumberFormat("en", digits));
  }
  return formats.get(decimals).format(value).replace("-", "−");
}

/** Places from `low` to `high` whose numbers read well, at most one more than wanted: {value, text} each, ascending. */
function ticksOf([low, high], wanted) {
  const power = 10 ** Math.floor(Math.log10((high - low) / wanted));
  if (!(power > 0 && power < Infinity)) return [];
  const ends = (step) => [Math.ceil(low / step - 1e-6), Math.floor(high / step + 1e-6)];
  const step = [1, 2, 5, 10].map((m) => m * power).find((one) => ends(one)[1] - ends(one)[0] <= wanted);
  const [first, last] = ends(step);
  const exponent = Math.floor(Math.log10(step) + 1e-9);
  const isPlain = exponent >= -5 && Math.max(Math.abs(low), Math.abs(high)) < 1e7;
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => {
    const value = first + k ? (first + k) * step : 0; // no minus zero
    return { value, text: isPlain ? decimal(value, Math.max(0, -exponent)) : shown(value) };
  });
}
