// A real browser, driven for a test, that writes what it saw as JSON lines on standard output. The first argument of the
// program is JSON: where the page is, which modules to use, and what to do.
import { createRequire } from 'node:module';

export const task = JSON.parse(process.argv[2]);
const require = createRequire(task.modules + '/');
const { chromium } = require('playwright-core');
const axe = require('axe-core').source;

const PATIENCE = 60_000;

export const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
export const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  // Tests run as root in containers, where the sandbox cannot start.
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage'],
  timeout: PATIENCE,
});
// What the console said and dialogs that opened; requests to other origins.
export const trouble = [];
export const elsewhere = [];

export async function open(settings) {
  const context = await browser.newContext(settings);
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) trouble.push(message.text());
  });
  page.on('pageerror', (error) => trouble.push(String(error)));
  page.on('dialog', (dialog) => {
    trouble.push('a dialog: ' + dialog.message());
    dialog.dismiss();
  });
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== task.origin) elsewhere.push(request.url());
  });
  return page;
}

export async function findings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  return violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`);
}
