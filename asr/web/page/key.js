// The API key of a server that asks for one, kept until the tab is closed.

import { find } from "./dom.js";

const NAME = "api-key";

export const readKey = () => sessionStorage.getItem(NAME);

/** Ask for the key; resolve to whether one was given. */
export function askForKey() {
  const dialog = find("#key-dialog");
  const input = find("#key");
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const isGiven = dialog.returnValue === "ok" && input.value !== "";
        if (isGiven) sessionStorage.setItem(NAME, input.value);
        input.value = "";
        resolve(isGiven);
      },
      { once: true },
    );
  });
}
