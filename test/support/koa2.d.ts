/** Uses the types of Koa 3 for both versions. */
declare module 'koa2' {
  export { default } from 'koa';
}
