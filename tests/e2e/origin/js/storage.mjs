// Channel groups, message persistence and message actions with the official JavaScript client.
import assert from 'node:assert/strict';
import { client, failure, run, until } from './clients.mjs';

const pubnub = client('u1');

await run({
  async 'a group is filled, listed, heard, emptied and removed'() {
    await pubnub.channelGroups.addChannels({ channels: ['g-a', 'g-b'], channelGroup: 'g' });
    assert.deepEqual((await pubnub.channelGroups.listChannels({ channelGroup: 'g' })).channels, ['g-a', 'g-b']);
    assert.deepEqual((await pubnub.channelGroups.listGroups()).groups, ['g']);
    const listener = client('u2');
    const heard = [];
    let ready = false;
    listener.addListener({
      status: (status) => { ready ||= status.category === 'PNConnectedCategory'; },
      message: (event) => heard.push(`${event.channel} ${event.subscription} ${event.message}`),
    });
    listener.subscribe({ channelGroups: ['g'] });
    await until(() => ready, 'connected');
    await pubnub.publish({ channel: 'g-b', message: 'hi' });
    await until(() => heard.length, 'the message');
    assert.deepEqual(heard, ['g-b g hi']);
    listener.destroy();
    await pubnub.channelGroups.removeChannels({ channels: ['g-a'], channelGroup: 'g' });
    assert.deepEqual((await pubnub.channelGroups.listChannels({ channelGroup: 'g' })).channels, ['g-b']);
    await pubnub.channelGroups.deleteGroup({ channelGroup: 'g' });
    assert.deepEqual((await pubnub.channelGroups.listGroups()).groups, []);
  },

  async 'messages are fetched, counted and deleted'() {
    const sent = [];
    for (let n = 0; n < 5; n += 1)
      sent.push((await pubnub.publish({ channel: 'h', message: { n }, meta: { k: n }, customMessageType: 'note' })).timetoken);
    const found = await pubnub.fetchMessages({ channels: ['h'], count: 3, includeMeta: true, includeCustomMessageType: true });
    assert.deepEqual(found.channels.h.map((item) => item.message.n), [2, 3, 4]);
    assert.deepEqual(found.channels.h[0].meta, { k: 2 });
    assert.equal(found.channels.h[0].uuid, 'u1');
    assert.equal(found.channels.h[0].customMessageType, 'note');
    const counts = await pubnub.messageCounts({ channels: ['h'], channelTimetokens: [sent[3]] });
    assert.deepEqual(counts.channels, { h: 1 });
    await pubnub.deleteMessages({ channel: 'h', start: sent[0], end: sent[3] });
    const left = await pubnub.fetchMessages({ channels: ['h'] });
    assert.deepEqual(left.channels.h.map((item) => item.message.n), [0, 4]);
  },

  async 'an action is added, heard, listed, shown in history and removed'() {
    const listener = client('u2');
    const heard = [];
    let ready = false;
    listener.addListener({
      status: (status) => { ready ||= status.category === 'PNConnectedCategory'; },
      messageAction: (event) => heard.push(`${event.event} ${event.data.value} ${event.data.uuid}`),
    });
    listener.subscribe({ channels: ['act'] });
    await until(() => ready, 'connected');
    const { timetoken } = await pubnub.publish({ channel: 'act', message: 'hi' });
    const action = { type: 'reaction', value: 'smile' };
    const added = await pubnub.addMessageAction({ channel: 'act', messageTimetoken: timetoken, action });
    assert.equal(added.data.uuid, 'u1');
    const again = await failure(pubnub.addMessageAction({ channel: 'act', messageTimetoken: timetoken, action }));
    assert.equal(again.status.statusCode, 409);
    const listed = await pubnub.getMessageActions({ channel: 'act' });
    assert.deepEqual(listed.data, [added.data]);
    const fetched = await pubnub.fetchMessages({ channels: ['act'], includeMessageActions: true });
    assert.equal(fetched.channels.act[0].actions.reaction.smile[0].uuid, 'u1');
    await pubnub.removeMessageAction({
      channel: 'act', messageTimetoken: timetoken, actionTimetoken: added.data.actionTimetoken,
    });
    await until(() => heard.length >= 2, `two events, heard ${heard}`);
    assert.deepEqual(heard, ['added smile u1', 'removed smile u1']);
    listener.destroy();
  },
});
