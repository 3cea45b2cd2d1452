import t from 'tap'
import type { ListedRoom } from '../../schemas/room.ts'
import { call, startHub } from '../support/hub.ts'

const COUNT = 2345

t.test('without a query the list is whole, also where it is made in pieces', async (t) => {
  const { hub, url } = await startHub(t, { healthTickMs: 60_000 })
  const { roomStore } = await hub.app
  for (let index = 0; index < COUNT; index++) {
    const listed = index % 3 !== 0
    await roomStore.createRoom({
      name: `Room "${index}" ü`,
      hostId: 'x',
      hostTokenHash: '',
      listed,
      defaults: {},
      createdAt: index,
    })
  }
  const { status, headers, body } = await call<{ rooms: ListedRoom[] }>('GET', `${url}/rooms`)
  t.equal(status, 200)
  t.match(headers.get('content-type'), /^application\/json/)
  const expected = Array.from({ length: COUNT }, (_, index) => index).filter((index) => index % 3 !== 0)
  t.strictSame(
    body.rooms.map(({ createdAt }) => createdAt),
    expected,
  )
  t.strictSame(Object.keys(body), ['rooms'])
})
