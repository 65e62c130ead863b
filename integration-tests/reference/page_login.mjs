// Logs in and out of the walker's page as people with different roles do.
import { browser, elsewhere, findings, open, say, task, trouble } from './browser.mjs';

const DIAGNOSIS = `${task.origin}/diagnoses/${task.diagnosis}`;

async function logIn(page, token) {
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
}

const buttons = (page) => page.getByRole('button', { name: /Confirm|Reject/ }).count();

try {
  // Whoever is not known is sent to the login, and from there to where he wanted to go.
  const page = await open({});
  await page.goto(DIAGNOSIS);
  say({ sent: page.url(), login: await findings(page) });
  await logIn(page, 'automap_0123456789');
  say({ wrong: await page.getByRole('alert').innerText(), cookies: (await page.context().cookies()).length });
  await logIn(page, task.reader);
  await page.waitForURL(DIAGNOSIS);
  const [cookie] = await page.context().cookies();
  say({
    cookie: { httpOnly: cookie.httpOnly, sameSite: cookie.sameSite, seen: await page.evaluate('document.cookie') },
    reader: { header: await page.locator('header').innerText(), buttons: await buttons(page), findings: await findings(page) },
  });

  // Out, and in again with the role that confirms.
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.waitForURL('**/login');
  say({ left: (await page.context().cookies()).length });
  await page.goto(DIAGNOSIS);
  await logIn(page, task.engineer);
  await page.waitForURL(DIAGNOSIS);
  say({ engineer: { header: await page.locator('header').innerText(), buttons: await buttons(page) } });
  await page.locator('.cause button').first().click();
  await page.waitForURL((url) => url.hash === '#said');
  say({ said: await page.locator('#said').innerText() });

  // A page of another origin has the browser, with its login, send the same form.
  const evil = await page.context().newPage();
  await evil.route('http://evil.example/', (route) => route.fulfill({
    contentType: 'text/html',
    body: `<form method="post" action="${DIAGNOSIS}/confirmations"><input name="root_cause" value="mallory"><button>win</button></form>`,
  }));
  await evil.goto('http://evil.example/');
  const answered = evil.waitForResponse((response) => response.request().method() === 'POST');
  await evil.getByRole('button', { name: 'win' }).click();
  say({ forged: (await answered).status() });
  await page.reload();
  say({ after: await page.locator('#said').innerText() });

  // What is not there is told on a page like all others, from which one logs out.
  await page.goto(task.origin + '/nowhere');
  say({ lost: { heading: await page.locator('h1').innerText(), header: await page.locator('header').innerText(), findings: await findings(page) } });
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.waitForURL('**/login');
  await page.goto(task.origin + '/diagnoses');
  say({ out: page.url(), trouble, elsewhere });
} finally {
  await browser.close();
}
