// What the page carries: facts as JSON, and arrays and files, compressed and in base64.

const KINDS = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array };

/** The facts that `facts_of` in exploration.py describes, with `isServed` and the types of the arrays. */
export const facts = JSON.parse(document.getElementById("facts").textContent);

/** The bytes of the file with this name, still compressed. */
export function compressedFile(name) {
  const text = document.querySelector(`script[type="text/packed"][data-name="${name}"]`).textContent.trim();
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

/** The bytes that were compressed. */
export async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** All arrays by name, each flat. Missing ones are undefined. */
export async function readArrays() {
  const read = async ([name, { type }]) => [name, new KINDS[type]((await unpacked(compressedFile(name))).buffer)];
  return Object.fromEntries(await Promise.all(Object.entries(facts.arrays).map(read)));
}
