// The official JavaScript client: messages, presence, groups, wildcards. Uses the client's public interface only.
import assert from 'node:assert/strict';
import { client, failure, run, until } from './clients.mjs';

const options = { presenceTimeout: 20, heartbeatInterval: 5, autoNetworkDetection: false };
const ann = client('ann', options);
const bob = client('bob', options);
const heard = { message: [], presence: [], signal: [], status: [] };
ann.addListener({
  message: (event) => heard.message.push(event),
  presence: (event) => heard.presence.push(event),
  signal: (event) => heard.signal.push(event),
  status: (event) => heard.status.push(event),
});
const saw = (action, uuid) => () => heard.presence.some((event) => event.action === action && event.uuid === uuid);
const got = (message) => heard.message.find((event) => event.message === message);

await run({
  async 'time is returned'() {
    assert.ok(Number((await ann.time()).timetoken) > 1e16);
  },

  async 'a subscriber connects and sees its own join'() {
    ann.subscribe({ channels: ['ch'], withPresence: true });
    await until(() => heard.status.some((event) => event.category === 'PNConnectedCategory'), 'connected');
    await until(saw('join', 'ann'), 'own join');
  },

  async 'another joins'() {
    bob.subscribe({ channels: ['ch'] });
    await until(saw('join', 'bob'), 'join of bob');
  },

  async 'messages arrive by GET and by POST, with metadata and type'() {
    await bob.publish({ channel: 'ch', message: 'get', meta: { a: 1 } });
    await until(() => got('get'), 'message');
    assert.deepEqual([got('get').publisher, got('get').userMetadata], ['bob', { a: 1 }]);
    await bob.publish({ channel: 'ch', message: 'post', sendByPost: true, customMessageType: 'my-type' });
    await until(() => got('post'), 'posted message');
    assert.equal(got('post').customMessageType, 'my-type');
    await bob.fire({ channel: 'ch', message: 'fired' });
    await bob.publish({ channel: 'ch', message: 'last' });
    await until(() => got('last'), 'message after the fired one');
    assert.equal(got('fired'), undefined);
  },

  async 'a signal arrives and a long one is refused'() {
    await bob.signal({ channel: 'ch', message: 'typing' });
    await until(() => heard.signal.length, 'signal');
    assert.equal(heard.signal[0].message, 'typing');
    await failure(bob.signal({ channel: 'ch', message: 'x'.repeat(80) }));
  },

  async 'state is set, announced and read'() {
    await bob.setState({ channels: ['ch'], state: { mood: 'fine' } });
    await until(saw('state-change', 'bob'), 'state change');
    const { channels } = await ann.getState({ uuid: 'bob', channels: ['ch'] });
    assert.deepEqual(channels, { ch: { mood: 'fine' } });
  },

  async 'here now and where now agree'() {
    const one = await ann.hereNow({ channels: ['ch'], includeState: true });
    assert.deepEqual(one.channels.ch.occupants.map((who) => who.uuid).sort(), ['ann', 'bob']);
    const many = await ann.hereNow({ channels: ['ch', 'nobody'] });
    assert.equal(many.totalOccupancy, 2);
    const all = await ann.hereNow({});
    assert.equal(all.totalChannels, 1);
    assert.deepEqual((await ann.whereNow({ uuid: 'bob' })).channels, ['ch']);
  },

  async 'groups and wildcards bring their channels'() {
    await ann.channelGroups.addChannels({ channels: ['g1', 'g2'], channelGroup: 'group' });
    const listed = await ann.channelGroups.listChannels({ channelGroup: 'group' });
    assert.deepEqual(listed.channels, ['g1', 'g2']);
    ann.subscribe({ channels: ['w.*'], channelGroups: ['group'] });
    await until(async () => (await bob.hereNow({ channels: ['g2', 'x'] })).totalOccupancy, 'presence by group');
    await bob.publish({ channel: 'g2', message: 'by group' });
    await bob.publish({ channel: 'w.x', message: 'by wildcard' });
    await until(() => got('by group') && got('by wildcard'), 'both');
    assert.equal(got('by group').subscription, 'group');
    assert.equal(got('by wildcard').subscription, 'w.*');
  },

  async 'a leave is announced'() {
    bob.unsubscribeAll();
    await until(saw('leave', 'bob'), 'leave of bob');
    ann.stop();
    bob.stop();
  },
});
