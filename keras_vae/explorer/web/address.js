// The address after "#" keeps the place, so that a link leads back to it.

// Milliseconds that the place must rest: browsers allow few changes of an address.
const REST = 300;

/** What the address says: { z, label, image, offsets }, each undefined where it does not. */
export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const numbers = (name) => {
    const values = given.get(name)?.split(",").map(Number);
    return values?.every(Number.isFinite) ? values : undefined;
  };
  const whole = (name) => {
    const value = Number(given.get(name) ?? NaN);
    return Number.isInteger(value) && value >= 0 ? value : undefined;
  };
  return {
    z: numbers("z"),
    offsets: numbers("offsets"),
    label: whole("label"),
    image: whole("image"),
    plane: whole("plane"),
  };
}

let timer;

/** Put `parts` into the address, once they rest; those that are undefined or null are left out. */
export function writeAddress(parts) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const text = Object.entries(parts)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => `${name}=${typeof value === "number" ? value : numbersIn(value)}`)
      .join("&");
    history.replaceState(null, "", `#${text}`);
  }, REST);
}

const numbersIn = (values) => Array.from(values, (value) => Number(value.toFixed(4))).join(",");
