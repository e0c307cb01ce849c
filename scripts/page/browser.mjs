// Chromium for a test: with a microphone that plays a recording, and everything that goes wrong on a page collected.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";

const puppeteer = createRequire(import.meta.url)("puppeteer-core"); // from NODE_PATH

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export const TIME_LIMIT = 120_000; // ms, for one step on a busy machine

export async function startBrowser(microphone) {
  const executablePath = BROWSERS.find(existsSync);
  if (!executablePath)
    throw new Error("the test needs Chromium; run: apt-get install --no-install-recommends chromium");
  return puppeteer.launch({
    executablePath,
    protocolTimeout: 2 * TIME_LIMIT,
    args: [
      "--no-sandbox",
      "--disable-dev-shm-usage",
      "--use-fake-ui-for-media-stream",
      "--use-fake-device-for-media-stream",
      `--use-file-for-fake-audio-capture=${microphone}%noloop`,
    ],
  });
}

/** Show a page in `light` or `dark`, without animations, which slow down pictures on a busy machine. */
export function useScheme(page, scheme) {
  return page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: scheme },
    { name: "prefers-reduced-motion", value: "reduce" },
  ]);
}

/**
 * Open a page as a device shows it, in light colours; downloads go to a folder.
 *
 * Returns {page, problems}: `problems` collects errors of scripts and what the policy of the page has stopped.
 */
export async function openPage(browser, address, { width, height, isPhone, downloads }) {
  const context = await browser.createBrowserContext({
    downloadBehavior: { policy: "allow", downloadPath: downloads },
  });
  const page = await context.newPage();
  page.setDefaultTimeout(TIME_LIMIT);
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.stack ?? String(error)));
  page.on("console", (message) => {
    // An answer with an error status is logged too; the page shows it.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      problems.push(message.text());
    }
  });
  page.on("dialog", (dialog) => dialog.accept());
  await useScheme(page, "light");
  await page.setViewport({ width, height, isMobile: isPhone, hasTouch: isPhone });
  await page.goto(address, { waitUntil: "networkidle0" });
  return { page, problems };
}
