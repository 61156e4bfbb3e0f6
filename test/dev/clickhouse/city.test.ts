/** The checksum of ClickHouse's frames, by what the Go driver's library makes of the same bytes. */
import { describe, expect, it } from 'vitest';
import { cityHash128 } from '../../../dev/clickhouse/city.ts';

describe('cityHash128()', () => {
  // github.com/go-faster/city 1.0.1, CH128(): length, low half, high half.
  const cases: [number, string, string][] = [
    [0, '3df09dfc64c09a2b', '3cb540c392e51e29'],
    [1, '5a03ab4f802b3f6c', '58a88a3c8a31e91a'],
    [3, '3108fa6b1da16986', '32301bf0c250612d'],
    [4, '2b36229ba99aa334', '25e1c052f6408d75'],
    [7, '4d6955e1bc4624e3', '252e8c015f4c9bd0'],
    [8, '9feb346ce8e35a98', 'f2f9f1185545d8ba'],
    [9, '80885008a99d77f2', '0854364fe84aef88'],
    [15, '1443b6470aa1c7ff', '70f998835a684c59'],
    [16, '4e7e2890890c933d', '9b6511d6440477c7'],
    [17, 'f0e9ed04b1c7f44e', '8a17c6d04d5431ae'],
    [24, '3a34086b235ecfbb', '0cb65080ace6058f'],
    [31, '99f185112aa9cd7e', 'd42762edf0508928'],
    [32, 'adf0df935f46a6c9', '45c6069d82f7b2fc'],
    [33, '8a065e613be6ff11', '35542546810ca846'],
    [48, '97d8b75e4aa03941', '822802a21c3e19ed'],
    [127, '2484cd18dc147d2c', '461eb40c3963012e'],
    [143, '2306b4d414b0d326', 'e980bd41eb516895'],
    [144, '9ba176029dbc7f22', 'a99caea46164a108'],
    [145, '594221bdaeb6df1a', '9eb4a68bece02725'],
    [200, 'af07d3bba57a0d5b', '0981ef4f519d4454'],
    [272, '48b20684ded03309', '10163f6def1291c2'],
    [300, '3c9b61da9a18081c', 'f9d9975c31955c7b'],
    [1000, '99dd0d90658d4424', '70f54ed52c308cc0'],
  ];

  it.each(cases)('of %i bytes', (length, low, high) => {
    const bytes = Buffer.from(Uint8Array.from({ length }, (_, index) => index * 7 + length));
    const hash = cityHash128(bytes);
    expect(hash.map((half) => half.toString(16).padStart(16, '0'))).toEqual([low, high]);
  });
});
