/** What this software calls itself towards peers and clients. The version is the package's. */
export const product = { name: 'isthmus', version: '0.1.0' } as const;
