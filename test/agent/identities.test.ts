import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import t from 'tap'
import { openIdentities } from '../../src/agent/identities.ts'
import { Locked } from '../../src/agent/lock.ts'
import { stateDirectory } from '../../src/agent/state-directory.ts'
import { eventually } from '../support/cli.ts'

const PLACE = { hub: 'http://hub:3000', code: 'K7QX2M', server: 'http://127.0.0.1:11434' }
const ALICE = { ...PLACE, id: 'alice-ollama', nickname: 'Alice', token: 'secret' }

const modeOf = (path: string) => statSync(path).mode & 0o777

t.test('what was saved is there again, for its owner alone', async (t) => {
  const directory = join(t.testdir({}), 'state', 'potluck')
  await openIdentities(directory).save(ALICE)
  t.same(await openIdentities(directory).load(PLACE), ALICE)
  const folder = join(directory, 'participants')
  const [file = '', ...others] = readdirSync(folder)
  t.same(others, [], 'no draft is left')
  t.equal(modeOf(join(folder, file)), 0o600)
  t.equal(modeOf(folder), 0o700)
})

t.test('a directory that is open to others is closed', async (t) => {
  const directory = t.testdir({})
  mkdirSync(join(directory, 'participants'), { mode: 0o755 })
  await openIdentities(directory).save(ALICE)
  t.equal(modeOf(join(directory, 'participants')), 0o700)
})

t.test('another hub, room or server is another participant', async (t) => {
  const identities = openIdentities(t.testdir({}))
  await identities.save(ALICE)
  for (const other of [{ hub: 'http://other:3000' }, { code: 'OTHER1' }, { server: 'http://127.0.0.1:1234' }]) {
    t.equal(await identities.load({ ...PLACE, ...other }), undefined, JSON.stringify(other))
  }
})

t.test('a file that is spoilt is as good as none, and the next save mends it', async (t) => {
  const directory = t.testdir({})
  const identities = openIdentities(directory)
  await identities.save(ALICE)
  const [file = ''] = readdirSync(join(directory, 'participants'))
  for (const spoilt of ['', '{"id":', '{"id": 7}', 'null', '[]']) {
    writeFileSync(join(directory, 'participants', file), spoilt)
    t.equal(await identities.load(PLACE), undefined, spoilt)
    t.same(await identities.list(), [])
  }
  await identities.save(ALICE)
  t.same(await identities.list(), [ALICE])
})

t.test('only what holds the same token is removed', async (t) => {
  const identities = openIdentities(t.testdir({}))
  await identities.save({ ...ALICE, token: 'newer' })
  await identities.remove(ALICE)
  t.match(await identities.load(PLACE), { token: 'newer' })
  await identities.remove({ ...ALICE, token: 'newer' })
  t.equal(await identities.load(PLACE), undefined)
})

t.test('one process at a time: the second is told whose it is, and is let in afterwards', async (t) => {
  const identities = openIdentities(t.testdir({}))
  const lock = await identities.claim(PLACE)
  await t.rejects(identities.claim(PLACE), { name: 'Locked', pid: process.pid })
  await lock.release()
  await (await identities.claim(PLACE)).release()
})

t.test('of many at once one gets in', async (t) => {
  const identities = openIdentities(t.testdir({}))
  const claims = await Promise.allSettled(Array.from({ length: 20 }, () => identities.claim(PLACE)))
  t.equal(claims.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const claim of claims) if (claim.status === 'rejected') t.ok(claim.reason instanceof Locked)
})

t.test('who died without letting go holds nothing', async (t) => {
  const directory = t.testdir({})
  const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' })
  await once(child, 'exit')
  const identities = openIdentities(directory)
  await (await identities.claim(PLACE)).release()
  const lock = await identities.claim(PLACE)
  const file = join(directory, 'participants', readdirSync(join(directory, 'participants'))[0] ?? '')
  writeFileSync(file, String(child.pid))
  await (await identities.claim(PLACE)).release()
  // It was taken over meanwhile: that is not ours to give up.
  writeFileSync(file, String(process.ppid))
  await lock.release()
  t.equal(readFileSync(file, 'utf8'), String(process.ppid))
})

const noZombies = process.platform === 'linux' ? false : 'SKIPPED: there is no /proc'

t.test('nor does one that has ended and was not waited for', { skip: noZombies }, async (t) => {
  const directory = t.testdir({})
  // The shell becomes a program that waits for no child, and only then the child ends.
  const parent = spawn('sh', ['-c', 'cat <&3 & echo $!; exec sleep 60 3<&-'], {
    stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
  })
  t.teardown(() => parent.kill('SIGKILL'))
  const [told] = (await once(parent.stdout as Readable, 'data')) as [Buffer]
  const pid = Number(told)
  await eventually(
    () => readFileSync(`/proc/${parent.pid}/comm`, 'utf8'),
    (name) => name === 'sleep\n',
  )
  ;(parent.stdio[3] as Writable).end()
  await eventually(
    () => readFileSync(`/proc/${pid}/stat`, 'utf8'),
    (stat) => stat.includes(') Z '),
  )
  const identities = openIdentities(directory)
  await identities.claim(PLACE)
  const file = join(directory, 'participants', readdirSync(join(directory, 'participants'))[0] ?? '')
  writeFileSync(file, String(pid))
  await t.resolves(identities.claim(PLACE))
})

t.test('nor does a process of the same number that was started after the machine was', async (t) => {
  const directory = t.testdir({})
  const identities = openIdentities(directory)
  await identities.claim(PLACE)
  const file = join(directory, 'participants', readdirSync(join(directory, 'participants'))[0] ?? '')
  writeFileSync(file, String(process.ppid))
  utimesSync(file, 1, 1)
  await t.resolves(identities.claim(PLACE))
})

t.test('where the state is kept, by the rule of each system', async (t) => {
  t.equal(stateDirectory({ XDG_STATE_HOME: '/state' }, 'linux'), '/state/potluck')
  t.match(stateDirectory({ XDG_STATE_HOME: 'relative' }, 'linux'), /\/\.local\/state\/potluck$/)
  t.match(stateDirectory({}, 'darwin'), /\/Library\/Application Support\/potluck$/)
  t.match(stateDirectory({ LOCALAPPDATA: '/local' }, 'win32'), /local.potluck$/)
})
