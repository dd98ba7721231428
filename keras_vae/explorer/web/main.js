// Joins the parts of the page: where one is in the latent space, the model, and the views.

import { readAddress, writeAddress } from "./address.js";
import { Samples, colourLegend, followClasses, showImages } from "./choices.js";
import { Drawing } from "./drawing.js";
import { Editor } from "./editor.js";
import { Latest, startEngine } from "./engine.js";
import { facts, readArrays } from "./payload.js";
import { fileName, imageSize, pngOf, save, show } from "./pixels.js";
import { Plane } from "./plane.js";
import { Sliders, signed } from "./sliders.js";
import { Store } from "./store.js";
import { Walk } from "./walk.js";

const at = (id) => document.getElementById(id);
const status = at("status");
// Images of a spatial model that show as buttons.
const CHOICES = 12;

const arrays = await readArrays();
const size = facts.latentShape.reduce((product, side) => product * side, 1);
const count = arrays.images.length / imageSize;
const pixelsAt = (index) => arrays.images.subarray(index * imageSize, (index + 1) * imageSize);
const meanAt = (index) => arrays.means.subarray(index * size, (index + 1) * size);

/** What is known of an image of the data set. */
function describe(index) {
  const label = arrays.labels?.[index] ?? -1;
  const name = label >= 0 ? facts.labelNames[label] : `image ${index + 1}`;
  return {
    index,
    name,
    pixels: pixelsAt(index),
    z: arrays.means && meanAt(index),
    label: facts.classes && label >= 0 ? label : 0,
  };
}

const store = new Store({
  z: new Float32Array(size),
  label: 0,
  source: null,
  peek: null,
});

const fail = (error) => {
  status.textContent = facts.isServed
    ? `The command that serves this page does not answer (${error.message}).`
    : `The model cannot run in this browser (${error.message}).`;
  status.classList.add("is-error");
};
const started = startEngine();
const decode = async (z, label, many) => (await started).decode(z, label, many);
const encode = async (pixels, label) => (await started).encode(pixels, label);

// --- the image

const decoded = new Latest(
  ({ z, label }) => decode(z, label),
  (pixels) => {
    latestPixels = pixels;
    show(at("decoded"), pixels);
  },
  fail,
  (isBusy) => at("decoded").setAttribute("aria-busy", String(isBusy)),
);
let latestPixels;
let shownPixels;
const noPixels = new Uint8Array(imageSize).fill(facts.drawing.paper);

function showImage({ z, label, source, peek }) {
  decoded.give(peek ? { z: peek.z, label: peek.label } : { z, label });
  const original = peek ?? source;
  at("original-figure").classList.toggle("is-empty", !original);
  // Beside another place than its own, an original is not what is decoded.
  const isAway = !peek && source && !editor && source.mean.some((value, index) => Math.abs(value - z[index]) > 1e-3);
  at("original-figure").classList.toggle("is-away", Boolean(isAway));
  at("original-name").textContent = original ? original.name : "no image";
  const pixels = original?.pixels ?? noPixels;
  if (pixels !== shownPixels) show(at("original"), pixels);
  shownPixels = pixels;
  if (!facts.isSpatial) {
    const numbers = Array.from((peek?.z ?? z).slice(0, 4), (value) => signed(value));
    at("place").textContent = `z = (${numbers.join(", ")}${size > 4 ? ", …" : ""})`;
  }
}
store.listen(showImage);

// What a screen reader says, once the place rests: it could not follow a finger.
const REST = 600;
let speaking;
store.listen(() => {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    const nearest = plane && describe(plane.nearest());
    at("spoken").textContent = nearest ? `${at("place").textContent}, nearest image ${nearest.name}` : "";
  }, REST);
});

// --- images of the data set and from outside

const encoded = new Latest(
  ({ pixels, label }) => encode(pixels, label),
  ({ mean, logVar }, { pixels, name, index, offsets, decodedAs }) => {
    const source = { pixels, name, index, mean, logVar };
    if (editor) editor.start(mean, { offsets, source, label: decodedAs });
    // An image of the data set is there already, and one may have gone on from it.
    else if (index !== undefined) store.update({ source: { ...source, mean: meanAt(index) } });
    else store.update({ z: mean, source, peek: null });
  },
  fail,
);
function takePixels(pixels, name) {
  const { label } = store.state;
  encoded.give({ pixels, name, label, decodedAs: label });
}

/** Go to an image of the data set; or show its posterior while one is at another place or class, as an address says. */
function takeImage(index, { z, offsets, label: decodedAs } = {}) {
  const { name, pixels, label } = describe(index);
  if (!editor) store.update({ z: z ?? meanAt(index).slice(), label: decodedAs ?? label, peek: null });
  encoded.give({ pixels, name, label, index, offsets, decodedAs: decodedAs ?? label });
}

// --- the views

let editor;
let plane;
if (facts.isSpatial) {
  editor = new Editor({ arrays, move: (z, changes) => store.update({ ...changes, z, peek: null }) });
  showImages(arrays.images, Math.min(count, CHOICES), (index) => takeImage(index));
} else {
  plane = new Plane({
    store,
    images: { count, labels: arrays.labels, mean: meanAt },
    decode,
    isBusy: () => decoded.isBusy || encoded.isBusy,
    take: takeImage,
    describe,
  });
  const { dimensions } = facts;
  const noteOf = ({ kl }) => (kl === null ? "" : `KL ${kl.toFixed(2)}`);
  const sliders = new Sliders(
    dimensions.map((dimension) => ({ ...dimension, note: noteOf(dimension) })),
    {
      move: (place, value) => {
        const z = store.state.z.slice();
        z[dimensions[place].index] = value;
        store.update({ z, peek: null });
      },
      reset: () => {
        const z = store.state.z.slice();
        dimensions.forEach(({ index, centre }) => (z[index] = centre));
        store.update({ z, source: null, peek: null });
      },
    },
  );
  const sorted = (values) => dimensions.map(({ index }) => values[index]);
  store.listen(({ z, source }) => {
    const posterior = source?.logVar && {
      means: sorted(source.mean),
      deviations: sorted(source.logVar).map((value) => Math.exp(value / 2)),
    };
    sliders.show(sorted(z), facts.isVariational ? posterior : null);
  });
  at("plane-choice")?.addEventListener("change", (event) => {
    plane.plane = facts.planes[event.target.value];
    keepPlace();
  });
  colourLegend();
}

followClasses(store);
new Drawing(takePixels);
const walk = new Walk({ store, decode, isBusy: () => decoded.isBusy });
const goTo = (z, label) => {
  if (editor) editor.start(z, { label, source: null });
  else store.update({ z, label, source: null, peek: null });
};
const samples = at("samples") && new Samples({ store, arrays, decode, go: goTo });
at("save").addEventListener(
  "click",
  async () => latestPixels && save(await pngOf([latestPixels]), fileName("image", "png")),
);

// --- the address

function keepPlace() {
  const { z, label, source } = store.state;
  const index = plane && facts.planes.indexOf(plane.plane);
  writeAddress({
    z: editor ? undefined : z,
    image: source?.index,
    offsets: editor?.offsets,
    label: facts.classes ? label : undefined,
    plane: index || undefined,
  });
}
store.listen(keepPlace);

// --- the beginning

/** Go to the place of the address, or to the first image. */
function goToAddress() {
  const address = readAddress();
  const label = address.label < facts.classes?.length ? address.label : undefined;
  const z = address.z?.length === size ? Float32Array.from(address.z) : undefined;
  if (at("plane-choice")) {
    at("plane-choice").value = address.plane < facts.planes.length ? address.plane : 0;
    plane.plane = facts.planes[at("plane-choice").value];
  }
  if (address.image < count) takeImage(address.image, { z, offsets: address.offsets, label });
  else if (z && !editor) goTo(z, label ?? 0);
  else takeImage(0);
}

/** Three places of different classes, so that there is a walk to play. */
async function beginWalk() {
  const chosen = [];
  for (let index = 0; index < count && chosen.length < 3; index += 1) {
    const label = arrays.labels?.[index];
    if (label === undefined || !chosen.some((other) => arrays.labels[other] === label)) chosen.push(index);
  }
  for (const index of chosen) {
    const { z, label } = describe(index);
    await walk.add(z, label);
  }
}

goToAddress();
// A link that is opened in this page changes the address alone.
window.addEventListener("hashchange", goToAddress);
try {
  await started;
  status.textContent = "";
  if (!editor) await beginWalk();
  await samples?.draw();
  document.body.dataset.ready = "true";
} catch (error) {
  fail(error);
}
