/** Exports of the native binding in the platform's package. */
module.exports = require(
  `@chdb/lib-${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`,
);
