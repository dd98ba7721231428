// LiteRT.js in a thread of its own, so that a slow model never stops the page.
//
// First message: the compressed files. Then requests { id, kind, label, z, count } or { id, kind, label, pixels }, each of
// which is answered by { id, … } or { id, error }.

const scriptAddress = (bytes, imports = {}) => {
  let source = new TextDecoder().decode(bytes);
  for (const [name, address] of Object.entries(imports)) source = source.replaceAll(`"${name}"`, `"${address}"`);
  return URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
};

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

let runtime;
const models = {};

async function start(compressed) {
  const files = {};
  await Promise.all(Object.keys(compressed).map(async (name) => (files[name] = await unpacked(compressed[name]))));
  const utils = scriptAddress(files["utils.js"]);
  runtime = await import(scriptAddress(files["core.js"], { "@litertjs/wasm-utils": utils }));
  // With the program at hand, the runtime's script does not look for it beside itself. Its log lines are no errors.
  const printErr = (line) => /^(INFO|WARNING): /.test(line) || console.error(line);
  self.Module = { wasmBinary: files.wasm, printErr };
  const { warn } = console;
  // It looks for a graphics processor, which is not used here, and would warn that there is none.
  console.warn = () => {};
  // The ending tells it that this is a script, and not a folder of scripts.
  await runtime.loadLiteRt(`${scriptAddress(files["wasm.js"])}#.js`);
  console.warn = warn;
  for (const name of ["encoder", "decoder"]) {
    models[name] = await runtime.loadAndCompile(files[name], { accelerator: "wasm" });
  }
}

/** One call of a model; tensors are freed by hand. */
async function run(model, inputs) {
  const tensors = {};
  for (const { name, shape } of model.getInputDetails()) {
    if (name in inputs) tensors[name] = new runtime.Tensor(inputs[name], [...shape]);
  }
  const found = await model.run(tensors);
  const values = {};
  for (const [name, tensor] of Object.entries(found)) {
    values[name] = tensor.toTypedArray();
    tensor.delete();
  }
  Object.values(tensors).forEach((tensor) => tensor.delete());
  return values;
}

const answers = {
  async decode({ z, count, label }) {
    const size = z.length / count;
    let pixels;
    for (let index = 0; index < count; index += 1) {
      const row = z.slice(index * size, (index + 1) * size);
      const { image } = await run(models.decoder, { z: row, label: Int32Array.of(label) });
      pixels ??= new Uint8ClampedArray(count * image.length);
      // Storing rounds and clips.
      pixels.set(
        image.map((value) => 255 * value),
        index * image.length,
      );
    }
    return { pixels };
  },
  async encode({ pixels, label }) {
    const image = Float32Array.from(pixels, (value) => value / 255);
    const { mean, log_var: logVar } = await run(models.encoder, { image, label: Int32Array.of(label) });
    return { mean, logVar };
  },
};

self.onmessage = async ({ data }) => {
  try {
    const answer = data.kind === "start" ? await start(data.files) : await answers[data.kind](data);
    self.postMessage({ id: data.id, ...answer });
  } catch (error) {
    self.postMessage({ id: data.id, error: String(error?.message ?? error) });
  }
};
