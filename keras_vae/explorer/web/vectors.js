// Arithmetic on latents: walks, projections on a plane, ellipses, and random numbers.

// Below this angle an arc and its chord differ by less than float32 can hold.
const SMALLEST_ANGLE = 1e-4;

export function dot(a, b) {
  let sum = 0;
  for (let index = 0; index < a.length; index += 1) sum += a[index] * b[index];
  return sum;
}

const combined = (a, b, combine) => Float32Array.from(a, (value, index) => combine(value, b[index]));
const length = (a) => Math.sqrt(dot(a, a));

/** A straight line from `a` (t = 0) to `b` (t = 1). */
export function mixed(a, b, t) {
  return combined(a, b, (from, to) => from + (to - from) * t);
}

/**
 * Spherical interpolation from `a` (t = 0) to `b` (t = 1): the direction turns at constant speed, and the norm changes
 * linearly, as `keras_vae.visualize.interpolation.slerp` does it. Where there is no one arc, a straight line.
 */
export function slerp(a, b, t) {
  const [normA, normB] = [length(a), length(b)];
  if (a.length === 1 || normA < 1e-30 || normB < 1e-30) return mixed(a, b, t);
  const from = a.map((value) => value / normA);
  const to = b.map((value) => value / normB);
  // Exact for small and large angles, unlike the arccosine of the dot product.
  const angle =
    2 * Math.atan2(length(combined(to, from, (x, y) => x - y)), length(combined(to, from, (x, y) => x + y)));
  if (angle < SMALLEST_ANGLE || Math.PI - angle < SMALLEST_ANGLE) return mixed(a, b, t);
  const across = combined(to, from, (x, y) => (x - y * Math.cos(angle)) / Math.sin(angle));
  const norm = normA + (normB - normA) * t;
  return combined(from, across, (x, y) => norm * (Math.cos(t * angle) * x + Math.sin(t * angle) * y));
}

/** The place of `z` on a plane, [x, y]. */
export function placeOn(plane, z) {
  const away = z.map((value, index) => value - plane.centre[index]);
  return plane.axes.map((axis) => dot(away, axis));
}

/** `z` moved along the plane to [x, y]; what is across the plane stays. */
export function movedOn(plane, z, [x, y]) {
  const [oldX, oldY] = placeOn(plane, z);
  const [right, up] = plane.axes;
  return z.map((value, index) => value + (x - oldX) * right[index] + (y - oldY) * up[index]);
}

/**
 * The ellipse of one standard deviation of a Gaussian with these log-variances, as it falls on a plane: its half axes
 * and the angle of the first, in radians.
 */
export function ellipseOn(plane, logVar) {
  const [right, up] = plane.axes;
  let [xx, xy, yy] = [0, 0, 0];
  logVar.forEach((value, index) => {
    const variance = Math.exp(value);
    xx += variance * right[index] ** 2;
    xy += variance * right[index] * up[index];
    yy += variance * up[index] ** 2;
  });
  const middle = (xx + yy) / 2;
  const spread = Math.hypot((xx - yy) / 2, xy);
  const halves = [middle + spread, Math.max(middle - spread, 0)].map(Math.sqrt);
  return { halves, angle: Math.atan2(2 * xy, xx - yy) / 2 };
}

/** `count` draws from N(0, 1), by Box and Muller. */
export function normals(count) {
  const one = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return Float32Array.from({ length: count }, one);
}
