// Files that are chosen, or dropped anywhere on the page.

import { find } from "./dom.js";
import { readDrop, readInput } from "./files.js";

/** Call `accept` with what `readInput` and `readDrop` find, each time that something is chosen or dropped. */
export function takeFiles(accept) {
  for (const [button, input] of [
    ["#choose-files", "#files"],
    ["#choose-folder", "#folder"],
  ]) {
    find(button).addEventListener("click", () => find(input).click());
    find(input).addEventListener("change", ({ target }) => {
      accept(readInput(target));
      target.value = ""; // so that the same file can be chosen again
    });
  }

  let depth = 0; // of the elements that a file is dragged over
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (holdsFiles(event) && ++depth) document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (holdsFiles(event) && --depth <= 0) document.body.classList.remove("dropping");
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    document.body.classList.remove("dropping");
    if (holdsFiles(event)) accept(await readDrop(event.dataTransfer));
  });
}
