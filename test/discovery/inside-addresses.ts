/** Addresses that a stranger's document may name and the gateway may never ask. */

/** Spellings of loopback that lead to one port. */
export function loopbackSpellings(port: number): string[] {
  return [
    `http://127.0.0.1:${port}`,
    `http://127.1:${port}`,
    `http://127.0.1:${port}`,
    `http://0x7f000001:${port}`,
    `http://0x7f.0.0.1:${port}`,
    `http://2130706433:${port}`,
    `http://017700000001:${port}`,
    `http://0177.0.0.1:${port}`,
    `http://127.000.000.001:${port}`,
    `http://１２７．０．０．１:${port}`,
    `http://127。0。0。1:${port}`,
    `http://[::ffff:127.0.0.1]:${port}`,
    `http://[::ffff:7f00:1]:${port}`,
    `http://[0:0:0:0:0:ffff:127.0.0.1]:${port}`,
    `http://[64:ff9b::7f00:1]:${port}`,
    `http://localhost:${port}`,
    `http://LOCALHOST:${port}`,
    `http://0.0.0.0:${port}`,
    `http://0:${port}`,
    `http://[::]:${port}`,
    `http://127.255.255.254:${port}`,
  ];
}

/** Places inside other people's networks. */
export const privateAddresses = [
  'http://169.254.169.254/latest/meta-data',
  'http://[fd00:ec2::254]',
  'http://2852039166',
  'http://0251.0376.0251.0376',
  'http://169.254.43518',
  'http://[::ffff:a9fe:a9fe]',
  'http://[2002:a9fe:a9fe::]',
  'http://10.0.0.1',
  'http://172.16.0.1',
  'http://192.168.1.1',
  'http://100.64.0.1',
] as const;
