// Reads the walker's page as a person would.
import { writeFileSync } from 'node:fs';
import { browser, elsewhere, findings, open, say, task, trouble } from './browser.mjs';

const LOOKS = [
  { look: 'light', viewport: { width: 1200, height: 900 }, colorScheme: 'light' },
  { look: 'dark', viewport: { width: 1200, height: 900 }, colorScheme: 'dark' },
  { look: 'phone', viewport: { width: 360, height: 740 }, colorScheme: 'light' },
];

try {
  // The list fills while it is open.
  const page = await open({ ...LOOKS[0] });
  await page.goto(task.origin + '/');
  await page.waitForFunction('events.readyState === EventSource.OPEN');
  say({ now: 'watching' });
  await page.waitForFunction((many) => document.querySelectorAll('#diagnoses li .state-done, #diagnoses li .state-abstained').length === many, task.diagnoses.length);
  say({ listed: await page.locator('#diagnoses li').allInnerTexts() });

  // One diagnosis, reached by keyboard alone.
  // The list is renewed while it is used: a link that was replaced has lost the focus.
  const confirmed = `/diagnoses/${task.confirmed}`;
  for (let tries = 0; new URL(page.url()).pathname !== confirmed; tries++) {
    if (tries === 12) throw new Error('the link does not lead to its diagnosis');
    await page.locator(`#diagnoses a[href="${confirmed}"]`).focus({ timeout: 10000 }).catch(() => {});
    await page.keyboard.press('Enter');
    await page.waitForURL(`**${confirmed}`, { timeout: 10000 }).catch(() => {});
  }
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

  // What services lacked is folded where it is long, opens by keyboard, and stands on paper all the same.
  const seen = await open({ ...LOOKS[0] });
  await seen.goto(task.origin + '/diagnoses/' + task.lacking);
  const rows = seen.locator('details.printed tbody tr');
  const folded = !(await rows.first().isVisible());
  await seen.emulateMedia({ media: 'print' });
  const printed = await rows.last().isVisible();
  await seen.emulateMedia({ media: 'screen' });
  await seen.locator('details.printed summary').focus();
  await seen.keyboard.press('Enter');
  await rows.first().waitFor();
  say({ gaps: { folded, printed, rows: await rows.allInnerTexts(), findings: await findings(seen) } });
  await seen.context().close();

  // What an engineer says.
  await page.locator('.cause button').first().click();
  await page.waitForURL((url) => url.hash === '#said');
  say({ said: await page.locator('#said').innerText() });
  await page.getByLabel('Service at fault').fill('a2');
  await page.getByLabel('Others at fault').fill('view, b');
  await page.getByRole('button', { name: 'Confirm', exact: true }).click();
  await page.locator('#said p').nth(1).waitFor();
  say({ corrected: await page.locator('#said p').nth(1).innerText() });

  // Readable without a script.
  const plain = await open({ ...LOOKS[0], javaScriptEnabled: false });
  await plain.goto(task.origin + '/diagnoses/' + task.confirmed);
  say({ plain: await plain.locator('h1').innerText() });
  await plain.context().close();
  say({ trouble, elsewhere });
} finally {
  await browser.close();
}
