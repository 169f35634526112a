// App Context with the official JavaScript client: CRUD, paging, If-Match, events.
import assert from 'node:assert/strict';
import { client, failure, run, until } from './clients.mjs';

const pubnub = client('u1');

await run({
  async 'a user is set, read and removed'() {
    const made = await pubnub.objects.setUUIDMetadata({
      uuid: 'u1',
      data: { name: 'Ann', email: 'a@example.org', custom: { online: true, shard: 3 }, status: 'here', type: 'person' },
    });
    assert.equal(made.status, 200);
    assert.deepEqual(made.data.custom, { online: true, shard: 3 });
    const found = await pubnub.objects.getUUIDMetadata({ uuid: 'u1' });
    assert.equal(found.data.name, 'Ann');
    assert.equal(found.data.status, 'here');
    assert.equal(found.data.type, 'person');
    assert.equal(found.data.externalId, null);
    await pubnub.objects.removeUUIDMetadata({ uuid: 'u1' });
    const error = await failure(pubnub.objects.getUUIDMetadata({ uuid: 'u1' }));
    assert.equal(error.status.statusCode, 404);
  },

  async 'every channel is found once, page by page'() {
    for (let n = 0; n < 12; n += 1)
      await pubnub.objects.setChannelMetadata({ channel: `p${String(n).padStart(2, '0')}`, data: { name: `N${n}` } });
    const found = [];
    let page;
    for (;;) {
      const answer = await pubnub.objects.getAllChannelMetadata({
        limit: 5, page, filter: "id LIKE 'p*'", sort: { id: 'desc' }, include: { totalCount: true },
      });
      if (answer.data.length === 0) break;
      assert.equal(answer.totalCount, 12);
      found.push(...answer.data.map((item) => item.id));
      page = { next: answer.next };
    }
    assert.equal(found.length, 12);
    assert.deepEqual(found, [...new Set(found)].sort().reverse());
  },

  async 'users are listed, a channel is read and removed'() {
    await pubnub.objects.setUUIDMetadata({ uuid: 'lister', data: { name: 'L' } });
    const users = await pubnub.objects.getAllUUIDMetadata({ filter: "name == 'L'", include: { customFields: true } });
    assert.deepEqual(users.data.map((user) => user.id), ['lister']);
    await pubnub.objects.setChannelMetadata({ channel: 'gone', data: { name: 'G', description: 'd' } });
    assert.equal((await pubnub.objects.getChannelMetadata({ channel: 'gone' })).data.description, 'd');
    await pubnub.objects.removeChannelMetadata({ channel: 'gone' });
    const error = await failure(pubnub.objects.getChannelMetadata({ channel: 'gone' }));
    assert.equal(error.status.statusCode, 404);
  },

  async 'of two writers with one eTag the second is refused'() {
    const made = await pubnub.objects.setChannelMetadata({ channel: 'c1', data: { name: 'A' } });
    const write = (name) =>
      pubnub.objects.setChannelMetadata({ channel: 'c1', data: { name }, ifMatchesEtag: made.data.eTag });
    await write('B');
    const error = await failure(write('C'));
    assert.equal(error.status.statusCode, 412);
  },

  async 'memberships and members are two sides of one relation'() {
    const set = await pubnub.objects.setMemberships({
      uuid: 'u1',
      channels: ['c1', { id: 'c2', custom: { k: 1 }, status: 'accepted', type: 'friend' }],
      include: { customFields: true, channelFields: true, statusField: true, totalCount: true },
    });
    assert.deepEqual(set.data.map((item) => item.channel.id), ['c1', 'c2']);
    assert.equal(set.data[0].channel.name, 'B');
    assert.deepEqual(set.data[1].custom, { k: 1 });
    const members = await pubnub.objects.getChannelMembers({ channel: 'c2', include: { UUIDFields: true } });
    assert.deepEqual(members.data.map((item) => item.uuid.id), ['u1']);
    await pubnub.objects.removeMemberships({ uuid: 'u1', channels: ['c2'] });
    const left = await pubnub.objects.getMemberships({ uuid: 'u1', filter: "!(channel.id LIKE 'x*')" });
    assert.deepEqual(left.data.map((item) => item.channel.id), ['c1']);
    await pubnub.objects.setChannelMembers({ channel: 'c3', uuids: ['a', 'b'] });
    const after = await pubnub.objects.removeChannelMembers({ channel: 'c3', uuids: ['a'] });
    assert.deepEqual(after.data.map((item) => item.uuid.id), ['b']);
  },

  async 'a listener hears of users, channels and memberships'() {
    const watcher = client('watcher');
    const heard = [];
    let ready = false;
    watcher.addListener({
      status: (status) => { ready ||= status.category === 'PNConnectedCategory'; },
      objects: ({ message }) => heard.push(`${message.type} ${message.event}`),
    });
    watcher.subscribe({ channels: ['w1', 'w2'] });
    await until(() => ready, 'connected');
    await pubnub.objects.setUUIDMetadata({ uuid: 'w1', data: { name: 'W' } });
    await pubnub.objects.setChannelMetadata({ channel: 'w2', data: { name: 'C' } });
    await pubnub.objects.setMemberships({ uuid: 'other', channels: ['w2'] });
    await pubnub.objects.removeUUIDMetadata({ uuid: 'w1' });
    await until(() => heard.length >= 4, `four events, heard ${heard}`);
    assert.deepEqual(heard, ['uuid set', 'channel set', 'membership set', 'uuid delete']);
    watcher.destroy();
  },
});
