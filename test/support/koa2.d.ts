/** The types of Koa 3 serve for both versions. */
declare module 'koa2' {
  export { default } from 'koa';
}
