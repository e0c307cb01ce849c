// The message at the top of the page.

import { find } from "./dom.js";

/** Show a message, or none where it is empty. */
export function notify(message, { isError = true } = {}) {
  const notice = find("#notice");
  notice.hidden = !message;
  notice.classList.toggle("error", isError);
  find("p", notice).textContent = message;
}

find("#notice button").addEventListener("click", () => notify(""));
