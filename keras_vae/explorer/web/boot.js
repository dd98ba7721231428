// Makes modules of the texts in this page, and runs the last one. A page that was opened as a file can import from
// addresses that it made itself, and from no others.
{
  const addresses = new Map();
  let last;
  for (const element of document.querySelectorAll('script[type="text/module-source"]')) {
    // Those that a module imports stand before it.
    const source = element.textContent.replace(
      /from "\.\/([a-z_]+\.js)";/g,
      (_, name) => `from "${addresses.get(name)}";`,
    );
    last = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    addresses.set(element.dataset.name, last);
  }
  import(last).catch((error) => {
    document.getElementById("status").textContent = `This page cannot start in this browser (${error.message}).`;
    throw error;
  });
}
