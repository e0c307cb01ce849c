// Two tabs, each of which shows a view, by pointer and by arrow keys.

import { find } from "./dom.js";

/**
 * Let tabs show what they control.
 * @param {HTMLElement[]} tabs two of them
 * @param {(tab: HTMLElement) => void} onShow called when one was chosen
 */
export function connectTabs(tabs, onShow) {
  function show(tab) {
    for (const each of tabs) {
      const isShown = each === tab;
      each.setAttribute("aria-selected", String(isShown));
      each.tabIndex = isShown ? 0 : -1;
      find(`#${each.getAttribute("aria-controls")}`).hidden = !isShown;
    }
    onShow(tab);
  }

  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => show(tab));
    tab.addEventListener("keydown", ({ key }) => {
      if (key !== "ArrowLeft" && key !== "ArrowRight") return;
      const other = tabs[1 - index];
      other.focus();
      show(other);
    });
  }
}
