// Rows of buttons: classes, samples of the prior, and the images of a spatial model.

import { colourOf } from "./colours.js";
import { imageSize, newCanvas } from "./pixels.js";
import { normals } from "./vectors.js";

const SAMPLES = 12;

/** Give the names of the classes their colours. */
export function colourLegend() {
  const marks = [...document.querySelectorAll("#legend .mark")];
  marks.forEach((mark, number) => (mark.style.backgroundColor = colourOf(number, marks.length)));
}

/** Let the buttons of a conditional model's classes change the class. */
export function followClasses(store) {
  const buttons = [...document.querySelectorAll("#classes button")];
  buttons.forEach((button, label) => button.addEventListener("click", () => store.update({ label, peek: null })));
  const press = ({ label }) =>
    buttons.forEach((button, number) => button.setAttribute("aria-pressed", String(number === label)));
  store.listen(press);
  press(store.state);
}

/** Draws from the prior as small pictures; `go(z, label)` is called with the one that is chosen. */
export class Samples {
  #list = document.getElementById("samples");

  constructor({ store, arrays, decode, go }) {
    Object.assign(this, { store, arrays, decode, go });
    document.getElementById("sample").addEventListener("click", () => this.draw());
  }

  async draw() {
    const drawn = Array.from({ length: SAMPLES }, () => this.#one());
    const images = [];
    for (const { z, label } of drawn) images.push(await this.decode(z, label));
    this.#list.replaceChildren(
      ...drawn.map(({ z, label }, index) => item(`Sample ${index + 1}`, images[index], () => this.go(z, label))),
    );
  }

  #one() {
    const { z, label } = this.store.state;
    const { draws, drawLabels } = this.arrays;
    if (!draws) return { z: normals(z.length), label };
    const row = Math.floor((Math.random() * draws.length) / z.length);
    return { z: draws.slice(row * z.length, (row + 1) * z.length), label: drawLabels ? drawLabels[row] : label };
  }
}

/** The images of the data set as buttons; `take(index)` is called with the one that is chosen. */
export function showImages(images, count, take) {
  const list = document.getElementById("images");
  const items = Array.from({ length: count }, (_, index) =>
    item(`Image ${index + 1}`, images.subarray(index * imageSize, (index + 1) * imageSize), () => take(index)),
  );
  list.replaceChildren(...items);
}

function item(name, pixels, choose) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-label", name);
  button.append(newCanvas(pixels));
  button.addEventListener("click", choose);
  const made = document.createElement("li");
  made.append(button);
  return made;
}
