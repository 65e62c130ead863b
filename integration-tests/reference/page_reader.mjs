// Reads the walker's page in a real browser, as a person would, and answers what it saw as JSON lines on standard output.
// The first argument is JSON: where the page is, which modules to use, and what to do.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const task = JSON.parse(process.argv[2]);
const require = createRequire(task.modules + '/');
const { chromium } = require('playwright-core');
const axe = require('axe-core').source;

const PATIENCE = 60_000;
const LOOKS = [
  { look: 'light', viewport: { width: 1200, height: 900 }, colorScheme: 'light' },
  { look: 'dark', viewport: { width: 1200, height: 900 }, colorScheme: 'dark' },
  { look: 'phone', viewport: { width: 360, height: 740 }, colorScheme: 'light' },
];

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  // Tests run as root in containers, where the sandbox cannot start.
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage'],
  timeout: PATIENCE,
});
const trouble = [];
const elsewhere = [];

async function open(settings) {
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

async function findings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  return violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`);
}

try {
  // The list fills while it is open.
  const page = await open({ ...LOOKS[0] });
  await page.goto(task.origin + '/');
  await page.waitForFunction('events.readyState === EventSource.OPEN');
  say({ now: 'watching' });
  await page.waitForFunction((many) => document.querySelectorAll('#diagnoses li .state-done, #diagnoses li .state-abstained').length === many, task.diagnoses.length);
  say({ listed: await page.locator('#diagnoses li').allInnerTexts() });

  // One diagnosis, reached by keyboard alone.
  await page.locator(`#diagnoses a[href="/diagnoses/${task.confirmed}"]`).focus();
  await Promise.all([page.waitForURL(`**/diagnoses/${task.confirmed}`), page.keyboard.press('Enter')]);
  say({
    headline: await page.locator('h1').innerText(),
    causes: await page.locator('.cause h3').allInnerTexts(),
    boxes: await page.locator('svg.graph rect.node').count(),
    walked: await page.locator('svg.graph path.walked').count(),
    charts: await page.locator('.cause svg.series path.line').count(),
  });
  say({ printed: (await page.pdf({ format: 'A4' })).length });
  if (task.screenshot) {
    const { y, height } = await page.locator('figure .drawing').boundingBox();
    const clip = { x: 0, y: 0, width: LOOKS[0].viewport.width, height: y + height + 20, scale: 1 };
    const camera = await page.context().newCDPSession(page);
    const settings = { format: 'webp', quality: 75, captureBeyondViewport: true, clip };
    const { data } = await camera.send('Page.captureScreenshot', settings);
    writeFileSync(task.screenshot, Buffer.from(data, 'base64'));
  }

  const looks = [];
  for (const { look, ...settings } of LOOKS) {
    const seen = await open(settings);
    for (const path of ['/diagnoses', ...task.diagnoses.map((id) => '/diagnoses/' + id)]) {
      await seen.goto(task.origin + path);
      const overflow = await seen.evaluate('document.documentElement.scrollWidth - innerWidth');
      looks.push({ look, path, overflow, findings: await findings(seen) });
    }
    await seen.context().close();
  }
  say({ looks });

  // What an engineer says.
  await page.locator('.cause button').first().click();
  await page.waitForURL((url) => url.hash === '#said');
  say({ said: await page.locator('#said').innerText() });

  // Readable without a script.
  const plain = await open({ ...LOOKS[0], javaScriptEnabled: false });
  await plain.goto(task.origin + '/diagnoses/' + task.confirmed);
  say({ plain: await plain.locator('h1').innerText() });
  await plain.context().close();
  say({ trouble, elsewhere });
} finally {
  await browser.close();
}
