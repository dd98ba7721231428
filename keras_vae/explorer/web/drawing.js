// Images from outside: a drawing, or a file that is dropped, pasted or chosen.

import { facts } from "./payload.js";
import { height, newCanvas, pixelsOf, pixelsOfFile, width } from "./pixels.js";

// MNIST's digits fit into 20 of 28 pixels, with their centre of mass in the middle (LeCun et al. 1998).
const FILLED = 20 / 28;
// The width of a stroke, as a share of the image's side: of the drawing itself, and of one that is scaled as MNIST's.
const STROKE = 0.085;

export class Drawing {
  #canvas = document.getElementById("drawing"); // null for images in colour, which can be opened alone
  #context = this.#canvas?.getContext("2d");
  #centre = document.getElementById("centre");
  #seen = newCanvas();
  #strokes = [];
  #isDue = false;

  /** `take(pixels, name)` is called with every new image, the model's pixels. */
  constructor(take) {
    this.take = take;
    this.#listenToFiles();
    if (!this.#canvas) return;
    this.#centre.checked = facts.drawing.centres;
    this.#centre.addEventListener("change", () => this.#change());
    document.getElementById("clear").addEventListener("click", () => {
      this.#strokes = [];
      this.#change();
    });
    this.#clear();
    this.#listenToPointer();
  }

  #listenToPointer() {
    const canvas = this.#canvas;
    const placeOf = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#strokes.push([placeOf(event)]);
      this.#change();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      // A fast hand makes several moves in a frame.
      const moves = event.getCoalescedEvents?.() ?? [];
      this.#strokes.at(-1).push(...(moves.length ? moves : [event]).map(placeOf));
      this.#change();
    });
  }

  #listenToFiles() {
    const chosen = document.getElementById("file");
    chosen.addEventListener("change", () => {
      this.#takeFile(chosen.files[0]);
      chosen.value = "";
    });
    document.addEventListener("paste", (event) => this.#takeFile(event.clipboardData.files[0]));
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("is-dropping");
    });
    document.addEventListener("dragleave", () => document.body.classList.remove("is-dropping"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("is-dropping");
      this.#takeFile(event.dataTransfer.files[0]);
    });
  }

  async #takeFile(file) {
    if (!file) return;
    const status = document.getElementById("status");
    try {
      const pixels = await pixelsOfFile(file);
      this.#strokes = [];
      this.#clear();
      status.textContent = "";
      this.take(pixels, file.name);
    } catch {
      status.textContent = `${file.name || "The file"} is not an image that this browser can read.`;
    }
  }

  #change() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#clear();
      this.#stroke(this.#context, this.#canvas.width, { scale: 1, left: 0, top: 0, line: STROKE });
      if (this.#strokes.length) this.take(this.#asSeen(), "drawing");
    });
  }

  #clear() {
    const [context, canvas] = [this.#context, this.#canvas];
    if (!canvas) return;
    context.fillStyle = facts.drawing.paper ? "#fff" : "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (this.#strokes.length) return;
    context.fillStyle = "#808080";
    context.font = "18px system-ui, sans-serif";
    context.textAlign = "center";
    context.fillText("draw here", canvas.width / 2, canvas.height / 2);
  }

  /** The drawing as the model takes it. Its lines are drawn again at that size: nothing is resized. */
  #asSeen() {
    const context = this.#seen.getContext("2d", { willReadFrequently: true });
    const paint = (transform) => {
      context.fillStyle = facts.drawing.paper ? "#fff" : "#000";
      context.fillRect(0, 0, width, height);
      this.#stroke(context, Math.min(width, height), transform);
      return pixelsOf(context);
    };
    if (!this.#centre.checked) return paint({ scale: 1, left: 0, top: 0, line: STROKE });
    const points = this.#strokes.flat();
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    const size = Math.max(Math.max(...xs) - left, Math.max(...ys) - top);
    const scale = (FILLED - STROKE) / Math.max(size, 0.2);
    const centred = (low, high) => 0.5 - (scale * (low + high)) / 2;
    const transform = { scale, left: centred(left, Math.max(...xs)), top: centred(top, Math.max(...ys)), line: STROKE };
    const [massLeft, massTop] = centreOfMass(paint(transform));
    return paint({ ...transform, left: transform.left + 0.5 - massLeft, top: transform.top + 0.5 - massTop });
  }

  #stroke(context, size, { scale, left, top, line }) {
    context.strokeStyle = facts.drawing.paper ? "#000" : "#fff";
    context.lineWidth = line * size;
    context.lineCap = context.lineJoin = "round";
    const at = ([x, y]) => [(x * scale + left) * size, (y * scale + top) * size];
    for (const stroke of this.#strokes) {
      context.beginPath();
      context.moveTo(...at(stroke[0]));
      // A dot is a line of no length.
      for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) context.lineTo(...at(point));
      context.stroke();
    }
  }
}

/** The centre of the ink, as shares of width and height. */
function centreOfMass(pixels) {
  let [mass, x, y] = [0, 0, 0];
  pixels.forEach((value, place) => {
    const ink = Math.abs(value - facts.drawing.paper);
    mass += ink;
    x += ink * ((place % width) + 0.5);
    y += ink * (Math.floor(place / width) + 0.5);
  });
  return mass ? [x / mass / width, y / mass / height] : [0.5, 0.5];
}
