/**
 * The value below which this share of the finite numbers lies, by the linear rule of NumPy; 0 if none is finite.
 *
 * @param {Float32Array | Float64Array} values
 * @param {number} share
 */
export function quantileOf(values, share) {
  const finite = values.filter(Number.isFinite).sort();
  if (!finite.length) return 0;
  const place = share * (finite.length - 1);
  const k = Math.floor(place);
  return finite[k] + (place - k) * ((finite[k + 1] ?? finite[k]) - finite[k]);
}
