import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import express, { type ErrorRequestHandler, type Express, Router } from 'express';
import { basketPage, escaped, page, productList, productPage } from './pages.ts';
import { PRODUCTS, type Product, productOf, search } from './products.ts';

const PUBLIC = fileURLToPath(new URL('public/', import.meta.url));
const OFFER_FAILS = 0.2;
const BASKET = 'basket';
const MAX_BASKET_ITEMS = 20;

/** Adds the pages of an ordinary shop, which contains no code for tracking. */
export function addShop(app: Express): void {
  app.disable('x-powered-by');
  // The simulated visitors come through a "proxy" on this machine, each with a different address.
  app.set('trust proxy', 'loopback');
  app.use('/static', express.static(PUBLIC, { maxAge: '1h' }));
  app.use(express.urlencoded({ extended: false }));

  app.get('/', (_request, response) => {
    response.send(page('Coffee, made slowly', productList(PRODUCTS.slice(0, 6))));
  });
  app.use('/products', products());
  app.get('/search', (request, response) => {
    const words = String(request.query.q ?? '').slice(0, 100);
    response.send(page(`Search: ${words}`, productList(search(words)), words));
  });
  app
    .route('/basket')
    .get((request, response) => {
      response.send(page('Your basket', basketPage(basketOf(request.headers.cookie))));
    })
    .post((request, response) => {
      const product = productOf(String(request.body?.product));
      if (!product) {
        response.status(400).send(page('Which product?', '<p>There is none of that name.</p>'));
        return;
      }
      const basket = [...basketOf(request.headers.cookie), product].slice(-MAX_BASKET_ITEMS);
      response.cookie(BASKET, basket.map(({ id }) => id).join('.'), { httpOnly: true, sameSite: 'lax' });
      response.redirect(303, '/basket');
    });
  app.get('/stock', async (_request, response) => {
    // Simulates a slow warehouse.
    await pause(200 + Math.random() * 600);
    response.send(page('In stock', `<p>All ${PRODUCTS.length} products, as of just now.</p>`));
  });
  app.get('/offer', (_request, response) => {
    if (Math.random() < OFFER_FAILS) throw new Error('the offers did not answer');
    response.send(page('Offer of the day', productList(PRODUCTS.slice(5, 7))));
  });

  app.use((request, response) => {
    response.status(404).send(page('Not found', `<p>There is no page ${escaped(request.path)}.</p>`));
  });
  const onError: ErrorRequestHandler = (_error, _request, response, next) => {
    if (response.headersSent) next(_error);
    else response.status(500).send(page('That went wrong', '<p>Now and then it does. Try again.</p>'));
  };
  app.use(onError);
}

/** Creates a router mounted at /products. Its routes are counted as /products/ and /products/:id. */
function products(): Router {
  const router = Router();
  router.get('/', (_request, response) => {
    response.send(page('Products', productList(PRODUCTS)));
  });
  router.get('/:id', (request, response, next) => {
    const product = productOf(request.params.id);
    if (product) response.send(page(product.name, productPage(product)));
    else next();
  });
  return router;
}

/** Reads the basket from its cookie, so that the shop stores nothing. */
function basketOf(cookies = ''): Product[] {
  const [, ids = ''] = new RegExp(`(?:^|; )${BASKET}=([\\w.-]*)`).exec(cookies) ?? [];
  return ids.split('.').flatMap((id) => productOf(id) ?? []);
}
