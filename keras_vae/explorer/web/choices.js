// Rows of buttons: classes, samples of the prior, and the images of a spatial model.

import { colourOf } from "./colours.js";
import { facts } from "./payload.js";
import { imageSize, newCanvas } from "./pixels.js";
import { normals } from "./vectors.js";

const SAMPLES = 12;

/** The names of the classes beside their colours. */
export function showLegend() {
  const names = facts.labelNames ?? [];
  const items = names.map((name, number) => {
    const item = document.createElement("li");
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.style.backgroundColor = colourOf(number, names.length);
    item.append(mark, name);
    return item;
  });
  document.getElementById("legend").replaceChildren(...items);
}

/** Buttons for the classes of a conditional model, of which one is pressed. */
export function showClasses(store) {
  if (!facts.classes) return;
  const place = document.getElementById("classes");
  place.hidden = false;
  const buttons = facts.classes.map((name, label) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: name });
    button.addEventListener("click", () => store.update({ label, peek: null }));
    return button;
  });
  place.append(...buttons);
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
    document.getElementById("prior").hidden = !facts.drawsFromNormal && !arrays.draws;
    document.getElementById("sample").addEventListener("click", () => this.draw());
    this.#list.replaceChildren(...Array.from({ length: SAMPLES }, (_, index) => item(`Sample ${index + 1}`, null)));
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
  button.disabled = !choose;
  button.setAttribute("aria-label", name);
  button.append(newCanvas(pixels));
  if (choose) button.addEventListener("click", choose);
  const made = document.createElement("li");
  made.append(button);
  return made;
}
